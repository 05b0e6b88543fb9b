package metrics

import (
	"maps"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Options is what New needs.
type Options struct {
	// Version of this build, for barnabas_build_info.
	Version string
	// APIName names an API by its key: "Produce". Keys without a name are counted as "Unknown".
	APIName func(key int16) string
	// TopicsMax bounds the topics that get series of their own, metrics.topics.max.
	TopicsMax int
	// GroupsMax bounds the groups that get series of their own, metrics.groups.max.
	GroupsMax int
	// Sample reads the state that gauges show; it is called once per scrape, from any goroutine. nil shows none.
	Sample func() Sample
}

// The bounds of the tables below. A key or version outside of them is counted in the last place.
const (
	apiKeys     = 128
	apiVersions = 32
)

// Metrics is all metrics of one broker. Its methods may be called from many goroutines.
type Metrics struct {
	registry *prometheus.Registry
	v        *vectors
	opts     Options

	requests [apiKeys]struct {
		common   atomic.Pointer[apiMetrics]
		versions [apiVersions]atomic.Pointer[Request]
	}

	// topics are those with series of their own: read without a lock, replaced as a whole under mu.
	topics atomic.Pointer[map[string]*Topic]
	other  *Topic // all the others
	groups groupSet
	mu     sync.Mutex
}

// New makes the metrics of one broker in a registry of their own.
func New(o Options) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{registry: r, v: newVectors(r), opts: o}
	m.topics.Store(&map[string]*Topic{})
	m.other = m.v.topic(otherTopics)
	m.groups.own.Store(&map[string]*Group{})
	m.groups.other = m.v.group(otherGroups)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "barnabas_build_info", Help: "Always 1; the labels say what runs."},
		[]string{"version", "revision", "goversion"})
	build.WithLabelValues(o.Version, revision(), runtime.Version()).Set(1)
	r.MustRegister(build)
	if o.Sample != nil {
		r.MustRegister(&sampler{m: m, d: newDescs()})
	}
	return m
}

// revision is the commit this was built from, as far as the toolchain recorded it.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

// Handler serves /metrics. A scrape that fails in part still shows the rest.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// apiMetrics is what the versions of one API share.
type apiMetrics struct {
	name                            string
	requestBytes, responseBytes     prometheus.Counter
	totalTime, remoteTime, sendTime prometheus.Observer
	errors                          sync.Map // kafka.ErrorCode -> prometheus.Counter
}

// Request counts the requests of one API and version.
type Request struct {
	api   *apiMetrics
	count prometheus.Counter
}

// Request is the counters of an API and version, made at the first call. It does not allocate afterwards.
func (m *Metrics) Request(key, version int16) *Request {
	k, n := place(key, apiKeys), place(version, apiVersions)
	at := &m.requests[k].versions[n]
	if r := at.Load(); r != nil {
		return r
	}
	api := m.api(k, key)
	label := strconv.Itoa(n)
	if n != int(version) {
		label = "other"
	}
	r := &Request{api: api, count: m.v.requests.WithLabelValues(api.name, label)}
	at.CompareAndSwap(nil, r) // either wins: both count in the same series
	return at.Load()
}

func place(n int16, bound int) int {
	if n < 0 || int(n) >= bound {
		return bound - 1
	}
	return int(n)
}

func (m *Metrics) api(k int, key int16) *apiMetrics {
	at := &m.requests[k].common
	if a := at.Load(); a != nil {
		return a
	}
	name := ""
	if k == int(key) && m.opts.APIName != nil {
		name = m.opts.APIName(key)
	}
	if name == "" {
		name = "Unknown"
	}
	at.CompareAndSwap(nil, &apiMetrics{
		name:         name,
		requestBytes: m.v.requestBytes.WithLabelValues(name), responseBytes: m.v.responseBytes.WithLabelValues(name),
		totalTime: m.v.totalTime.WithLabelValues(name), remoteTime: m.v.remoteTime.WithLabelValues(name), sendTime: m.v.sendTime.WithLabelValues(name),
	})
	return at.Load()
}

// Times says where the time of a request went; Remote and Send are parts of Total, 0 where there was none or nobody looked.
type Times struct{ Total, Remote, Send time.Duration }

// Done counts one answered request: its size, that of its answer (0 for a produce with acks=0), and where its time went.
func (r *Request) Done(requestBytes, responseBytes int, t Times) {
	r.count.Inc()
	r.api.requestBytes.Add(float64(max(0, requestBytes)))
	r.api.responseBytes.Add(float64(max(0, responseBytes)))
	r.api.totalTime.Observe(t.Total.Seconds())
	if t.Remote > 0 {
		r.api.remoteTime.Observe(t.Remote.Seconds())
	}
	if t.Send > 0 {
		r.api.sendTime.Observe(t.Send.Seconds())
	}
}

// Error counts one error code in an answer; success is not counted.
func (m *Metrics) Error(key int16, code kafka.ErrorCode) {
	if code == kafka.None {
		return
	}
	a := m.api(place(key, apiKeys), key)
	c, ok := a.errors.Load(code)
	if !ok {
		c, _ = a.errors.LoadOrStore(code, m.v.requestErrors.WithLabelValues(a.name, code.String()))
	}
	c.(prometheus.Counter).Inc()
}

// Topic counts the traffic of one topic. A partition object holds it.
type Topic struct {
	messagesIn, bytesIn, bytesOut, bytesRejected     prometheus.Counter
	produces, fetches, failedProduces, failedFetches prometheus.Counter
}

// Topic is the counters of a topic; beyond TopicsMax, those that such topics share. It takes no lock unless the topic is new, so
// that it may be called for each partition of a request; holding the result is still cheaper.
func (m *Metrics) Topic(name string) *Topic {
	topics := *m.topics.Load()
	if t := topics[name]; t != nil {
		return t
	}
	if len(topics) >= m.opts.TopicsMax || name == otherTopics {
		return m.other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	topics = *m.topics.Load()
	if t := topics[name]; t != nil {
		return t
	}
	if len(topics) >= m.opts.TopicsMax {
		return m.other
	}
	t := m.v.topic(name)
	next := maps.Clone(topics)
	next[name] = t
	m.topics.Store(&next)
	return t
}

func (v *vectors) topic(name string) *Topic {
	return &Topic{
		messagesIn: v.messagesIn.WithLabelValues(name), bytesIn: v.bytesIn.WithLabelValues(name), bytesOut: v.bytesOut.WithLabelValues(name),
		bytesRejected: v.bytesRejected.WithLabelValues(name), produces: v.produceRequests.WithLabelValues(name), fetches: v.fetchRequests.WithLabelValues(name),
		failedProduces: v.failedProduceRequests.WithLabelValues(name), failedFetches: v.failedFetchRequests.WithLabelValues(name),
	}
}

// ForgetTopic drops the series of a deleted topic and makes room for another. Whoever still counts on it counts into the void.
func (m *Metrics) ForgetTopic(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	topics := *m.topics.Load()
	if topics[name] == nil {
		return
	}
	next := maps.Clone(topics)
	delete(next, name)
	m.topics.Store(&next)
	for _, c := range []*prometheus.CounterVec{m.v.messagesIn, m.v.bytesIn, m.v.bytesOut, m.v.bytesRejected, m.v.produceRequests, m.v.fetchRequests,
		m.v.failedProduceRequests, m.v.failedFetchRequests} {
		c.DeleteLabelValues(name)
	}
}

// Produced counts one partition of a produce request that was appended.
func (t *Topic) Produced(records, bytes int) {
	t.produces.Inc()
	t.messagesIn.Add(float64(records))
	t.bytesIn.Add(float64(bytes))
}

// ProduceFailed counts one partition of a produce request that was refused; tooLarge is the size of a batch refused for it, else 0.
func (t *Topic) ProduceFailed(tooLarge int) {
	t.produces.Inc()
	t.failedProduces.Inc()
	t.bytesRejected.Add(float64(max(0, tooLarge)))
}

// Fetched counts one partition of a fetch request and the bytes it was answered with.
func (t *Topic) Fetched(bytes int) {
	t.fetches.Inc()
	t.bytesOut.Add(float64(bytes))
}

// FetchFailed counts one partition of a fetch request that was answered with an error.
func (t *Topic) FetchFailed() {
	t.fetches.Inc()
	t.failedFetches.Inc()
}

// RejectedBatch counts a batch that was refused because of what is in it.
func (m *Metrics) RejectedBatch(code kafka.ErrorCode) {
	m.v.rejectedRecords.WithLabelValues(code.String()).Inc()
}

// Reasons for closing a connection.
const (
	TooMany       = "too many connections"
	TooManyFromIP = "too many connections of one address"
	Idle          = "idle"
	Slow          = "slow"
	Garbage       = "garbage"
	Evicted       = "evicted"
)

// Listener counts the connections of one listener.
type Listener struct {
	accepted prometheus.Counter
	open     prometheus.Gauge
	refused  *prometheus.CounterVec
	killed   *prometheus.CounterVec
}

// Listener is the counters of a listener.
func (m *Metrics) Listener(name string) *Listener {
	l := prometheus.Labels{labelListener: name}
	return &Listener{
		accepted: m.v.connectionsAccepted.WithLabelValues(name), open: m.v.connections.WithLabelValues(name),
		refused: m.v.connectionsRefused.MustCurryWith(l), killed: m.v.connectionsKilled.MustCurryWith(l),
	}
}

// Opened counts a connection that was accepted and kept.
func (l *Listener) Opened() {
	l.accepted.Inc()
	l.open.Inc()
}

// Closed counts the end of such a connection.
func (l *Listener) Closed() { l.open.Dec() }

// Refused counts a connection closed at once; reason is one of the constants above.
func (l *Listener) Refused(reason string) { l.refused.WithLabelValues(reason).Inc() }

// Killed counts a connection that the broker closed; reason is one of the constants above.
func (l *Listener) Killed(reason string) { l.killed.WithLabelValues(reason).Inc() }

// Flushed counts one flush of a log directory that made so many partitions durable.
func (m *Metrics) Flushed(logs int, took time.Duration) {
	m.v.flushTime.Observe(took.Seconds())
	m.v.flushedLogs.Observe(float64(logs))
}

// FlushFailed counts a flush that failed.
func (m *Metrics) FlushFailed() { m.v.flushErrors.Inc() }

// Compacted counts one compaction.
func (m *Metrics) Compacted(bytesRead, bytesWritten int64) {
	m.v.cleanerRuns.Inc()
	m.v.cleanerRead.Add(float64(max(0, bytesRead)))
	m.v.cleanerWritten.Add(float64(max(0, bytesWritten)))
}

// SegmentsDeleted counts segments that retention let go.
func (m *Metrics) SegmentsDeleted(n int) { m.v.segmentsDeleted.Add(float64(max(0, n))) }

// Recovered counts logs that were walked at the start.
func (m *Metrics) Recovered(logs int) { m.v.recoveredLogs.Add(float64(max(0, logs))) }
