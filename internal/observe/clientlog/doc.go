// Package clientlog reads the logs of Kafka clients and tells why their group rebalanced.
//
// Core: bytes in, incidents out; it opens no file and knows no clock. It understands what the Java client (and Spring around it), librdkafka,
// franz-go and sarama write about their groups, whatever the surroundings put before each line. It promises that no bytes make it panic, that
// its memory is bounded whatever the size of a log, and that it says nothing that is not in the log, was not given, or does not follow from
// both by arithmetic that is shown. Where a client's sentence means less than it says, the verdict says so.
//
// The way of a line: read.go cuts it, envelope.go takes off what journald, Kubernetes or a logging framework put around it and finds its
// time, a file per client (java.go, librdkafka.go, franz.go, sarama.go) turns it into an Event, episodes.go puts the events of all
// members on one time line and cuts that into rebalances, verdict.go names the cause, advise.go computes, story.go tells it.
package clientlog
