package broker

import (
	"context"
	"fmt"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/activity"
	"github.com/barnabas-mq/barnabas/internal/admin"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/metrics"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

func (b *Broker) newMetrics(version string) *metrics.Metrics {
	return metrics.New(metrics.Options{Version: version, APIName: wire.KeyName, TopicsMax: int(b.static.Broker.Admin.TopicsMax), GroupsMax: int(b.static.Broker.Admin.GroupsMax), Sample: b.sample})
}

func (b *Broker) listenerNames() string {
	var names []string
	for _, l := range b.bound {
		names = append(names, l.config.Name)
	}
	return strings.Join(names, ",")
}

// openAdmin opens the admin port; an empty admin.address leaves it out.
func (b *Broker) openAdmin(ctx context.Context, version string) error {
	a := &b.static.Broker.Admin
	if a.Address == "" {
		return nil
	}
	c := b.newConsole(version)
	s, err := admin.Listen(ctx, admin.Config{
		Address: a.Address, AllowRemote: a.AllowRemote, Pprof: a.Pprof, Ready: b.notReady, Metrics: b.metrics.Handler(), Console: c, Closing: c.Close, Logger: b.log,
	})
	if err != nil {
		return err
	}
	b.admin = s
	b.log.Info("serving health, metrics and the console", "address", s.Addr().String())
	return nil
}

// notReady says what stands between clients and an answer.
func (b *Broker) notReady() []admin.NotReady {
	if !b.ready.Load() {
		return []admin.NotReady{{Check: "broker", Reason: "starting, or shutting down"}}
	}
	var out []admin.NotReady
	for _, d := range b.store.Dirs() {
		if d.Offline != nil {
			out = append(out, admin.NotReady{Check: "log.dirs", Reason: fmt.Sprintf("%s is offline: %v", d.Path, d.Offline)})
		}
	}
	return out
}

// sample reads the state that gauges show.
func (b *Broker) sample() metrics.Sample {
	s := metrics.Sample{Ready: b.ready.Load()}
	if !s.Ready {
		return s
	}
	im := b.control.Image()
	s.ActiveController, s.Topics, s.ClusterPartitions = true, im.NumTopics(), im.NumPartitions()
	for _, p := range b.parts.All() {
		s.Partitions++
		if p.ErrorCode() != kafka.None {
			s.OfflineReplicas++
			s.OfflinePartitions++
			continue
		}
		s.Leaders++
	}
	byTopic := map[string]int{}
	for _, l := range b.store.Logs() {
		name := l.TopicPartition().Topic
		at, ok := byTopic[name]
		if !ok {
			at = len(s.Logs)
			byTopic[name] = at
			s.Logs = append(s.Logs, metrics.TopicLogs{Topic: name})
		}
		s.Logs[at].Bytes += l.Size()
		s.Logs[at].Segments += l.SegmentCount()
	}
	for _, d := range b.store.Dirs() {
		s.Dirs = append(s.Dirs, metrics.Dir{Path: d.Path, Offline: d.Offline != nil, Total: d.TotalBytes, Usable: d.UsableBytes})
	}
	st := b.server.State()
	s.FetchSessions, s.FetchSessionPartitions = st.FetchSessions, st.FetchSessionPartitions
	s.WaitingProduce, s.WaitingFetch, s.WaitingGroups = st.WaitingProduce, st.WaitingFetch, st.WaitingGroups
	s.Groups, s.GroupsLoading = b.sampleGroups(), b.groups.Loading()
	s.Journal = b.sampleJournal()
	s.MemoryMax, s.MemoryUsed = st.RequestMemoryMax, st.RequestMemoryUsed
	return s
}

// Activity is who fetched what last.
func (b *Broker) Activity() *activity.Tracker { return b.activity }
