package broker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/group"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// What the console costs at most, and how old what it shows may be.
const (
	consoleIncidentBytes = 48 << 20        // of an index of incidents: some 400,000
	consoleListShare     = 20              // the list of groups is kept for so many times as long as it took to make
	consoleListAge       = 2 * time.Second // and no longer than this
	consoleRateEvery     = 5 * time.Second // log ends are noted for rates
	consoleRateSamples   = 3               // so rates are over ten seconds
	consoleHistory       = 24 * time.Hour  // that findings look at
	consoleHistoryMax    = 200             // incidents of it
)

// consoleSource is what the console sees of this broker.
type consoleSource struct {
	b         *Broker
	changes   *console.Hub
	incidents *console.Store
	started   vtime.Instant
	wrote     written // of the journal's goroutine

	mu     sync.Mutex // held while the list is made: who comes meanwhile takes it too
	groups []console.GroupRow
	until  time.Time // it may be shown until then

	ratesMu sync.Mutex
	rates   []rateSample // the oldest first
}

// rateSample is how far every topic was at a moment.
type rateSample struct {
	at     time.Time
	topics map[string]topicCounts
}

type topicCounts struct {
	end        int64
	in, out    float64
	haveTotals bool
}

func (b *Broker) newConsole(version string) *console.Console {
	b.console = &consoleSource{b: b, changes: console.NewHub(), started: vtime.FromTime(time.Now())}
	b.console.incidents = console.NewStore(consoleIncidentBytes, b.console.record)
	return console.New(console.Config{Source: b.console, Changes: b.console.changes, LoopbackOnly: !b.static.Broker.Admin.AllowRemote, Version: version, Logger: b.log})
}

// startConsole reads what the journal has from before, and notes log ends for rates until Close; the broker is ready when it is called.
func (b *Broker) startConsole() {
	if b.console == nil {
		return
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		b.console.readHistory(stop)
		tick := time.NewTicker(consoleRateEvery)
		defer tick.Stop()
		for {
			b.console.noteRates(time.Now())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	b.onClose(func(context.Context) error {
		close(stop)
		<-done
		return nil
	})
}

// notes tells open pages which groups there is news of. It does not wait.
func (s *consoleSource) notes(notes []runtime.TimedNote) {
	if s == nil {
		return
	}
	for _, n := range notes {
		s.changes.Changed(n.Note.NoteGroup())
	}
}

// written is the record that the journal wrote last, and where.
type written struct {
	group, id string
	rev       int
	offset    int64
}

// recorded hears where the journal wrote a record, before incident hears of what is in it.
func (s *consoleSource) recorded(key, value []byte, offset int64) {
	if s == nil {
		return
	}
	s.wrote = written{}
	if id, rev, ok := journal.Revision(value); ok {
		s.wrote = written{string(key), string(id), rev, offset}
	}
}

// incident takes a revision of an incident from the journal. One that could not be written is kept as it is.
func (s *consoleSource) incident(in journal.Incident) {
	if s == nil {
		return
	}
	offset := int64(-1)
	if s.wrote.group == in.Group && s.wrote.id == in.ID && s.wrote.rev == in.Rev {
		offset = s.wrote.offset
	}
	s.incidents.Put(in, offset)
	s.changes.Changed(in.Group)
}

// Groups implements console.Source.
func (s *consoleSource) Groups(ctx context.Context) ([]console.GroupRow, error) {
	if !s.b.ready.Load() {
		return nil, console.ErrNotReady
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.groups != nil && now.Before(s.until) {
		return s.groups, nil
	}
	late := timeLeft(ctx)
	defer late.Stop()
	out := []console.GroupRow{}
	for _, shard := range s.b.groups.Shards() {
		reply, ok := askShard[group.ListReply](s.b, late, shard, func(id coord.ReplyID) coord.Event { return &group.ListRequest{Reply: id} })
		if !ok {
			continue
		}
		for _, l := range reply.Groups {
			r := console.GroupRow{Name: l.Group, State: string(l.State), Type: l.Type, ProtocolType: l.ProtocolType, Members: l.Members}
			if committed, ok := s.committed(late, shard, l.Group); ok {
				sum, _ := s.b.lag(&committed)
				r.Lag = &sum
			}
			s.incidents.Row(&r, now)
			out = append(out, r)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b console.GroupRow) int { return cmp.Compare(a.Name, b.Name) })
	made := time.Now()
	s.groups, s.until = out, made.Add(min(consoleListAge, consoleListShare*made.Sub(now)))
	return out, nil
}

// timeLeft fires when ctx ends.
func timeLeft(ctx context.Context) *time.Timer {
	end, ok := ctx.Deadline()
	if !ok {
		return time.NewTimer(groupSampleTimeout)
	}
	return time.NewTimer(time.Until(end))
}

func (s *consoleSource) committed(late *time.Timer, shard int32, name string) (offset.FetchReply, bool) {
	return askShard[offset.FetchReply](s.b, late, shard, func(id coord.ReplyID) coord.Event {
		return &offset.FetchRequest{Reply: id, Group: name, All: true}
	})
}

// Group implements console.Source.
func (s *consoleSource) Group(ctx context.Context, name string) (*console.Group, error) {
	if !s.b.ready.Load() {
		return nil, console.ErrNotReady
	}
	late := timeLeft(ctx)
	defer late.Stop()
	g := &console.Group{GroupRow: console.GroupRow{Name: name, Type: "classic"}, Generation: -1}
	shard := s.b.groups.ShardOf(name)
	reply, ok := askShard[group.DescribeReply](s.b, late, shard, func(id coord.ReplyID) coord.Event {
		return &group.DescribeRequest{Reply: id, Groups: []string{name}}
	})
	if !ok || len(reply.Groups) != 1 || reply.Groups[0].State == group.Dead || reply.Groups[0].Code != kafka.None {
		if !s.incidents.Knows(name) {
			return nil, console.ErrNotFound
		}
		g.State = "Dead"
	} else {
		d := &reply.Groups[0]
		g.State, g.ProtocolType, g.Protocol, g.Members = string(d.State), d.ProtocolType, d.Protocol, len(d.Members)
		g.Generation = s.generation(late, shard, name)
		s.members(g, d)
		if committed, ok := s.committed(late, shard, name); ok {
			s.partitions(g, &committed)
		}
	}
	s.incidents.Row(&g.GroupRow, time.Now())
	history := s.query(console.IncidentQuery{Group: name, From: time.Now().Add(-consoleHistory), Limit: consoleHistoryMax}).List
	if len(history) > 0 {
		software(g.MemberList, history)
	}
	g.Findings = journal.Detect(history, journal.Window{})
	return g, nil
}

// generation is told by the list only; -1 when it is not.
func (s *consoleSource) generation(late *time.Timer, shard int32, name string) int32 {
	reply, ok := askShard[group.ListReply](s.b, late, shard, func(id coord.ReplyID) coord.Event { return &group.ListRequest{Reply: id} })
	if !ok {
		return -1
	}
	i, found := slices.BinarySearchFunc(reply.Groups, name, func(l group.Listing, name string) int { return cmp.Compare(l.Group, name) })
	if !found {
		return -1
	}
	return reply.Groups[i].Generation
}

// members decodes who has what, as consumers write it down; other kinds of groups keep that to themselves.
func (s *consoleSource) members(g *console.Group, d *group.Description) {
	for _, m := range d.Members {
		out := console.Member{Who: journal.Who{ID: m.ID, Client: m.Client, Host: m.Host, Instance: m.Instance}}
		if d.ProtocolType == "consumer" && len(m.Assignment) > 0 {
			var a kmsg.ConsumerMemberAssignment
			if a.ReadFrom(m.Assignment) == nil {
				out.Assigned = []journal.TopicPartitions{}
				for _, t := range a.Topics {
					ps := slices.Sorted(slices.Values(t.Partitions))
					out.Assigned = append(out.Assigned, journal.TopicPartitions{Topic: t.Topic, Partitions: ps})
					for _, p := range ps {
						g.Partitions = append(g.Partitions, console.PartitionLag{Topic: t.Topic, Partition: p, Owner: m.ID})
					}
				}
				slices.SortFunc(out.Assigned, func(a, b journal.TopicPartitions) int { return cmp.Compare(a.Topic, b.Topic) })
			}
		}
		g.MemberList = append(g.MemberList, out)
	}
}

// partitions adds what is committed to what is assigned, and how far that is from the end.
func (s *consoleSource) partitions(g *console.Group, committed *offset.FetchReply) {
	at := make(map[kafka.TopicPartition]int, len(g.Partitions))
	for i, p := range g.Partitions {
		at[kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = i
	}
	for _, t := range committed.Topics {
		for _, c := range t.Partitions {
			if c.Offset < 0 {
				continue
			}
			i, ok := at[kafka.TopicPartition{Topic: t.Topic, Partition: c.Partition}]
			if !ok {
				i = len(g.Partitions)
				g.Partitions = append(g.Partitions, console.PartitionLag{Topic: t.Topic, Partition: c.Partition})
			}
			g.Partitions[i].Committed = &c.Offset
		}
	}
	sum, known := int64(0), false
	for i := range g.Partitions {
		p := &g.Partitions[i]
		part := s.b.parts.Get(p.Topic, p.Partition)
		if part == nil || part.ErrorCode() != kafka.None {
			continue
		}
		end := part.HighWatermark()
		p.End = &end
		if p.Committed != nil {
			behind := max(0, end-*p.Committed)
			p.Lag = &behind
			sum, known = sum+behind, true
		}
	}
	if known {
		g.Lag = &sum
	}
	slices.SortFunc(g.Partitions, func(a, b console.PartitionLag) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// software takes from the newest incidents what their members run, which a description does not tell.
func software(members []console.Member, history []journal.Incident) {
	known := map[string]string{}
	for _, in := range history {
		for _, m := range in.Members {
			if known[m.ID] == "" {
				known[m.ID] = m.Software
			}
		}
	}
	for i := range members {
		members[i].Software = known[members[i].ID]
	}
}

// Incidents implements console.Source.
func (s *consoleSource) Incidents(_ context.Context, q console.IncidentQuery) (console.Incidents, error) {
	return s.query(q), nil
}

func (s *consoleSource) query(q console.IncidentQuery) console.Incidents {
	out := s.incidents.Incidents(q)
	for i := range out.List {
		out.List[i] = s.seen(out.List[i])
	}
	return out
}

// Incident implements console.Source.
func (s *consoleSource) Incident(_ context.Context, group, id string) (*journal.Incident, error) {
	if in := s.incidents.Incident(group, id); in != nil {
		*in = s.seen(*in)
		return in, nil
	}
	return nil, console.ErrNotFound
}

// Topics implements console.Source.
func (s *consoleSource) Topics(context.Context) ([]console.TopicRow, error) {
	if !s.b.ready.Load() {
		return nil, console.ErrNotReady
	}
	im := s.b.image.Load()
	out := make([]console.TopicRow, 0, im.NumTopics())
	for t := range im.Topics() {
		out = append(out, s.topicRow(t.Name, t.Internal(), t.NumPartitions(), nil))
	}
	return out, nil
}

// topicRow sums the partitions of a topic up; each is called for every one of them.
func (s *consoleSource) topicRow(name string, internal bool, partitions int32, each func(console.Partition)) console.TopicRow {
	r := console.TopicRow{Name: name, Internal: internal, Partitions: int(partitions)}
	var records, bytes int64
	for n := range partitions {
		p := s.b.parts.Get(name, n)
		out := console.Partition{Number: n, Leader: -1}
		if p != nil && p.ErrorCode() == kafka.None {
			start, end, size := p.Log().StartOffset(), p.HighWatermark(), p.Log().Size()
			out.Leader, out.Start, out.End, out.Bytes = int32(s.b.node), &start, &end, &size
			records, bytes = records+max(0, end-start), bytes+size
		} else {
			r.Offline++
		}
		if each != nil {
			each(out)
		}
	}
	if r.Offline == 0 {
		r.Records = &records
	}
	r.Bytes = &bytes
	s.fillRates(&r)
	return r
}

// Topic implements console.Source.
func (s *consoleSource) Topic(ctx context.Context, name string) (*console.Topic, error) {
	if !s.b.ready.Load() {
		return nil, console.ErrNotReady
	}
	t := s.b.image.Load().Topic(name)
	if t == nil {
		return nil, console.ErrNotFound
	}
	out := &console.Topic{}
	out.TopicRow = s.topicRow(name, t.Internal(), t.NumPartitions(), func(p console.Partition) { out.PartitionList = append(out.PartitionList, p) })
	var err error
	out.Groups, err = s.readers(ctx, name)
	return out, err
}

// readers are the groups that have committed offsets of a topic.
func (s *consoleSource) readers(ctx context.Context, topic string) ([]string, error) {
	groups, err := s.Groups(ctx)
	if err != nil {
		return nil, err
	}
	late := timeLeft(ctx)
	defer late.Stop()
	var out []string
	for i := range groups {
		committed, ok := s.committed(late, s.b.groups.ShardOf(groups[i].Name), groups[i].Name)
		if ok && slices.ContainsFunc(committed.Topics, func(t offset.FetchedTopic) bool { return t.Topic == topic }) {
			out = append(out, groups[i].Name)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// noteRates notes how far every topic is.
func (s *consoleSource) noteRates(now time.Time) {
	im := s.b.image.Load()
	sample := rateSample{at: now, topics: make(map[string]topicCounts, im.NumTopics())}
	for t := range im.Topics() {
		var c topicCounts
		for n := range t.NumPartitions() {
			if p := s.b.parts.Get(t.Name, n); p != nil && p.ErrorCode() == kafka.None {
				c.end += p.HighWatermark()
			}
		}
		c.in, c.out, c.haveTotals = s.b.metrics.TopicBytes(t.Name)
		sample.topics[t.Name] = c
	}
	s.ratesMu.Lock()
	defer s.ratesMu.Unlock()
	if s.rates = append(s.rates, sample); len(s.rates) > consoleRateSamples {
		s.rates = slices.Delete(s.rates, 0, 1)
	}
}

// fillRates compares the oldest sample with the newest.
func (s *consoleSource) fillRates(r *console.TopicRow) {
	s.ratesMu.Lock()
	defer s.ratesMu.Unlock()
	if len(s.rates) < 2 {
		return
	}
	first, last := &s.rates[0], &s.rates[len(s.rates)-1]
	a, known := first.topics[r.Name]
	b, still := last.topics[r.Name]
	seconds := last.at.Sub(first.at).Seconds()
	if !known || !still || seconds <= 0 {
		return
	}
	per := func(d float64) *float64 { // a topic that was made anew under the same name begins again
		d = max(0, d) / seconds
		return &d
	}
	r.RecordsIn = per(float64(b.end - a.end))
	if b.haveTotals || !a.haveTotals {
		r.BytesIn, r.BytesOut = per(b.in-a.in), per(b.out-a.out)
	}
}
