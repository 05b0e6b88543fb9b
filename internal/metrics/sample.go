package metrics

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Sample is the state of the broker at a scrape. Zero values are shown as 0.
type Sample struct {
	Ready bool

	// Leaders and so on count partitions of this broker.
	Leaders, Partitions, OfflineReplicas, UnderReplicated, UnderMinISR, AtMinISR int
	// ActiveController says that this broker is the controller; the rest counts over the whole cluster.
	ActiveController                             bool
	Topics, ClusterPartitions, OfflinePartitions int

	// Waiting counts requests that wait.
	WaitingProduce, WaitingFetch          int
	FetchSessions, FetchSessionPartitions int
	RequestsInFlight                      int
	MemoryUsed, MemoryMax                 int64
	DecompressionUsed                     int64

	// Logs has one entry per topic, in any order.
	Logs        []TopicLogs
	Dirs        []Dir
	OpenFiles   int
	FilesMax    int
	Uncleanable int
	Producers   int

	// Groups are those that this broker coordinates, in any order; GroupsLoading counts partitions whose groups are being read.
	Groups        []GroupSample
	GroupsLoading int
	// WaitingGroups counts requests that wait for a group or for its records.
	WaitingGroups int
	Journal       JournalSample
}

// JournalSample is what the journal of rebalances has done since the start.
type JournalSample struct {
	Written      int64 // records
	Lost         int64 // records that its log refused
	LostNotes    int64 // notes of the coordinator for which there was no room
	WaitingNotes int
}

// TopicLogs is the logs of one topic on this broker.
type TopicLogs struct {
	Topic    string
	Bytes    int64
	Segments int
}

// Dir is one log directory; sizes of -1 are not known and not shown.
type Dir struct {
	Path          string
	Offline       bool
	Total, Usable int64
}

// sampler shows a Sample at each scrape.
type sampler struct {
	m *Metrics
	d *descs
}

// Describe announces nothing: the set of rows depends on the sample, which prometheus calls an unchecked collector.
func (s *sampler) Describe(chan<- *prometheus.Desc) {}

func (s *sampler) Collect(out chan<- prometheus.Metric) {
	d, x := s.d, s.m.opts.Sample()
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, g := range []struct {
		desc *prometheus.Desc
		v    int
	}{
		{d.leaders, x.Leaders}, {d.partitions, x.Partitions}, {d.offlineReplicas, x.OfflineReplicas}, {d.underReplicated, x.UnderReplicated},
		{d.underMinISR, x.UnderMinISR}, {d.atMinISR, x.AtMinISR}, {d.topics, x.Topics}, {d.clusterPartitions, x.ClusterPartitions},
		{d.offlinePartitions, x.OfflinePartitions}, {d.fetchSessions, x.FetchSessions}, {d.fetchSessionPartitions, x.FetchSessionPartitions},
		{d.requestsInFlight, x.RequestsInFlight}, {d.openFiles, x.OpenFiles}, {d.openFilesMax, x.FilesMax}, {d.uncleanable, x.Uncleanable},
		{d.producers, x.Producers}, {d.activeController, one(x.ActiveController)}, {d.ready, one(x.Ready)},
		{d.groupsLoading, x.GroupsLoading},
	} {
		gauge(g.desc, float64(g.v))
	}
	gauge(d.purgatory, float64(x.WaitingProduce), "Produce")
	gauge(d.purgatory, float64(x.WaitingFetch), "Fetch")
	gauge(d.purgatory, float64(x.WaitingGroups), "Group")
	s.collectGroups(x.Groups, out)
	for _, c := range []struct {
		desc *prometheus.Desc
		v    int64
	}{{d.journalRecords, x.Journal.Written}, {d.journalLost, x.Journal.Lost}, {d.journalLostNotes, x.Journal.LostNotes}} {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(c.v))
	}
	gauge(d.journalWaiting, float64(x.Journal.WaitingNotes))
	gauge(d.memoryUsed, float64(x.MemoryUsed))
	gauge(d.memoryMax, float64(x.MemoryMax))
	gauge(d.decompressionUsed, float64(x.DecompressionUsed))
	for _, l := range s.m.bounded(x.Logs) {
		gauge(d.logSize, float64(l.Bytes), l.Topic)
		gauge(d.logSegments, float64(l.Segments), l.Topic)
	}
	offline := 0
	for _, dir := range x.Dirs {
		offline += one(dir.Offline)
		gauge(d.dirOffline, float64(one(dir.Offline)), dir.Path)
		if dir.Total >= 0 {
			gauge(d.dirTotal, float64(dir.Total), dir.Path)
		}
		if dir.Usable >= 0 {
			gauge(d.dirUsable, float64(dir.Usable), dir.Path)
		}
	}
	gauge(d.offlineDirs, float64(offline))
}

// bounded is one row per topic: the first TopicsMax topics by name, and the rest together.
func (m *Metrics) bounded(logs []TopicLogs) []TopicLogs {
	sorted := slices.SortedFunc(slices.Values(logs), func(a, b TopicLogs) int { return cmp.Compare(a.Topic, b.Topic) })
	out := make([]TopicLogs, 0, min(len(sorted), m.opts.TopicsMax+1))
	rest := TopicLogs{Topic: otherTopics}
	for _, l := range sorted {
		switch n := len(out); {
		case n > 0 && out[n-1].Topic == l.Topic:
			out[n-1].Bytes += l.Bytes
			out[n-1].Segments += l.Segments
		case n < m.opts.TopicsMax && l.Topic != otherTopics:
			out = append(out, l)
		default:
			rest.Bytes += l.Bytes
			rest.Segments += l.Segments
		}
	}
	if rest != (TopicLogs{Topic: otherTopics}) {
		out = append(out, rest)
	}
	return out
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
