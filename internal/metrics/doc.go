// Package metrics counts what the broker does, for Prometheus.
//
// It promises that counting costs no allocation and no map look-up: whoever counts holds its counters (a *Request per API and
// version, a *Topic per partition object) and calls methods on them. The number of time series is bounded, by the APIs there are
// by metrics.topics.max and by metrics.groups.max. Every metric is named in names.go, with Kafka's terms in the form that the JMX exporter made
// customary, so that dashboards for Kafka mostly fit; times are seconds, as Prometheus wants it.
//
// What may not be done here: no global registry, no logging, and no decision that depends on a metric. State that exists anyway
// (log sizes, open files, waiting requests) is not mirrored in gauges but read at each scrape through Sample.
// Start reading at names.go.
package metrics

//go:generate go test -run TestEveryMetricIsListed -update .
