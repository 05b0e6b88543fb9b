package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// revision is one record of the journal as the broker wrote it, and how long after the incident's beginning.
type revision struct {
	incident journal.Incident
	after    time.Duration
}

// fill makes the directory: real members give the shapes of incidents, all groups commit once, and the journal is written behind the broker's back.
func fill(ctx context.Context, o options) error {
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	shapes, err := play(ctx, s.addr)
	if err == nil {
		err = commitAll(ctx, s.addr, o)
	}
	if err = errors.Join(err, s.stop()); err != nil {
		return err
	}
	f, err := write(ctx, o, shapes)
	if err != nil {
		return err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.dir, "filled.json"), b, 0o644)
}

func hotName(i int) string   { return fmt.Sprintf("hot-%03d", i) }
func quietName(i int) string { return fmt.Sprintf("quiet-%05d", i) }

func names(o options) (out []string) {
	for i := range o.groups {
		if i < o.hot {
			out = append(out, hotName(i))
		} else {
			out = append(out, quietName(i-o.hot))
		}
	}
	return out
}

// member is a real consumer that can also die without a word: its connections close, and none is made again.
type member struct {
	cl    *kgo.Client
	mu    sync.Mutex
	conns []net.Conn
	dead  bool
	stop  context.CancelFunc
	done  chan struct{}
}

func join(ctx context.Context, addr, group, client string) (*member, error) {
	m := &member{done: make(chan struct{})}
	dial := func(ctx context.Context, network, host string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, host)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.dead && err == nil {
			c.Close()
			err = errors.New("this member is dead")
		}
		m.conns = append(m.conns, c)
		return c, err
	}
	var err error
	m.cl, err = kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.ClientID(client), kgo.Dialer(dial),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.SessionTimeout(6*time.Second), kgo.Balancers(kgo.CooperativeStickyBalancer(), kgo.RangeBalancer()))
	if err != nil {
		return nil, err
	}
	var polls context.Context
	polls, m.stop = context.WithCancel(ctx)
	go func() {
		defer close(m.done)
		for polls.Err() == nil {
			m.cl.PollFetches(polls)
		}
	}()
	return m, nil
}

func (m *member) leave() {
	m.stop()
	<-m.done
	m.cl.Close()
}

func (m *member) die() {
	m.mu.Lock()
	m.dead = true
	for _, c := range m.conns {
		if c != nil {
			c.Close()
		}
	}
	m.mu.Unlock()
	m.leave()
}

// play lets members of one group come, go and die, and gives every revision of every incident that the broker wrote down of it.
func play(ctx context.Context, addr string) ([][]revision, error) {
	const group = "shapes"
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 4, 1, nil, "orders"); err != nil {
		return nil, err
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
		return nil, err
	}
	var all []*member
	settled := func(n int) error {
		for ctx.Err() == nil {
			g, err := adm.DescribeGroups(ctx, group)
			if err == nil && g[group].State == "Stable" && len(g[group].Members) == n {
				return nil
			}
			time.Sleep(200 * time.Millisecond) // between two questions
		}
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for i := range 3 {
		m, err := join(ctx, addr, group, fmt.Sprintf("orders-service-%d", i))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if err := settled(i + 1); err != nil {
			return nil, err
		}
	}
	all[1].leave()
	if err := settled(2); err != nil {
		return nil, err
	}
	all[2].die()
	if err := settled(1); err != nil {
		return nil, err
	}
	back, err := join(ctx, addr, group, "orders-service-2")
	if err != nil {
		return nil, err
	}
	if err := settled(2); err != nil {
		return nil, err
	}
	back.leave()
	all[0].leave()
	return collect(ctx, addr, group)
}

// collect reads the group's records of the journal.
func collect(ctx context.Context, addr, group string) ([][]revision, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(kafka.RebalancesTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	byID := map[string][]revision{}
	for quiet := 0; quiet < 3; quiet++ {
		pctx, cancel := context.WithTimeout(ctx, time.Second)
		fs := cl.PollFetches(pctx)
		cancel()
		fs.EachRecord(func(r *kgo.Record) {
			quiet = -1
			inc, err := journal.Decode(r.Key, r.Value)
			if err == nil && inc.Group == group {
				byID[inc.ID] = append(byID[inc.ID], revision{inc, max(0, r.Timestamp.Sub(inc.Began.Instant().Time()))})
			}
		})
	}
	var out [][]revision
	for _, revs := range byID { // any order: sorted below
		slices.SortFunc(revs, func(a, b revision) int { return cmp.Compare(a.incident.Rev, b.incident.Rev) })
		out = append(out, revs)
	}
	slices.SortFunc(out, func(a, b []revision) int { return cmp.Compare(a[0].incident.Began, b[0].incident.Began) })
	if len(out) < 5 {
		return nil, fmt.Errorf("%d incidents were written down; members came and went more often", len(out))
	}
	return out, nil
}

// commitAll makes every group known to its coordinator.
func commitAll(ctx context.Context, addr string, o options) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	all := names(o)
	work := make(chan string)
	errs := make(chan error, 16)
	for range 16 {
		go func() {
			var err error
			for name := range work {
				if err == nil {
					offsets := kadm.Offsets{}
					offsets.AddOffset("orders", int32(len(name)%4), 0, -1)
					err = adm.CommitAllOffsets(ctx, name, offsets)
				}
			}
			errs <- err
		}()
	}
	for _, name := range all {
		work <- name
	}
	close(work)
	for range 16 {
		err = errors.Join(err, <-errs)
	}
	return err
}

// write appends the incidents to the journal's logs, while no broker has them open.
func write(ctx context.Context, o options, shapes [][]revision) (*filled, error) {
	codecs := batch.NewCodecs(batch.Limits{})
	store, err := storage.Open(context.Background(), storage.Config{Dirs: []string{filepath.Join(o.dir, "data")}, FS: vfs.OS(), NodeID: -1, FlushMode: storage.FlushNever, Codecs: codecs,
		RetentionCheckInterval: -1, CleanerDisable: true, TopicConfig: func(string) storage.LogConfig {
			c := storage.DefaultLogConfig()
			c.SegmentBytes = 16 << 20
			return c
		}})
	if err != nil {
		return nil, err
	}
	f := &filled{Groups: o.groups, Incidents: o.incidents, Hot: hotName(0), Quiet: quietName(0), Over: o.over.String(), Shapes: len(shapes), Machine: machine()}
	partitions := int32(0)
	for store.Get(kafka.TopicPartition{Topic: kafka.RebalancesTopic, Partition: partitions}) != nil {
		partitions++
	}
	// Who is in which partition, and how many incidents each has.
	left := make([][]group, partitions)
	rest := o.incidents - o.hot*o.hottest
	quiet := o.groups - o.hot
	for i, name := range names(o) {
		n := o.hottest
		if i >= o.hot {
			n = rest*(i-o.hot+1)/quiet - rest*(i-o.hot)/quiet
		}
		p := kafka.PartitionOf(name, partitions)
		left[p] = append(left[p], group{name, n})
	}
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	for p, groups := range left {
		log := store.Get(kafka.TopicPartition{Topic: kafka.RebalancesTopic, Partition: int32(p)})
		var order []string
		for _, g := range groups {
			for range g.incidents {
				order = append(order, g.name)
			}
		}
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		generation := map[string]int32{}
		build := batch.NewBuilder(codecs)
		epoch := log.LatestEpoch()
		for i, name := range order {
			at := now.Add(-o.over + time.Duration(float64(o.over)*(float64(i)+.5)/float64(len(order)))).Truncate(time.Millisecond)
			generation[name]++
			revs := shapes[random.IntN(len(shapes))]
			for _, r := range revs[max(0, len(revs)-o.revisions):] {
				inc := again(r.incident, name, at, generation[name])
				key, value, err := journal.Encode(inc)
				if err != nil {
					return nil, err
				}
				ms := min(at.Add(r.after).UnixMilli(), now.UnixMilli())
				build.Reset(batch.Options{LeaderEpoch: epoch, Codec: batch.Snappy})
				if err := build.Append(ms, key, value, nil); err != nil {
					return nil, err
				}
				b, err := build.Build()
				if err != nil {
					return nil, err
				}
				if _, err := log.Append(b, storage.AppendOptions{LeaderEpoch: epoch, Origin: storage.Coordinator, NowMs: ms}); err != nil {
					return nil, err
				}
				f.Records++
			}
		}
		f.Bytes += log.Size()
		fmt.Fprintf(os.Stderr, "partition %d of %d: %d records, %d MB\n", p+1, partitions, f.Records, f.Bytes>>20)
	}
	return f, store.Close(ctx)
}

type group struct {
	name      string
	incidents int
}

// again is an incident as if it had happened to another group at another time.
func again(inc journal.Incident, group string, at time.Time, generation int32) journal.Incident {
	shift := at.Sub(inc.Began.Instant().Time())
	out := shifted(reflect.ValueOf(inc), shift).Interface().(journal.Incident)
	out.Group, out.GenerationBefore = group, generation
	if out.GenerationAfter >= 0 {
		out.GenerationAfter = generation + 1
	}
	out.ID = fmt.Sprintf("%s-g%d", at.UTC().Format("20060102T150405.000"), generation)
	return out
}

var timeType = reflect.TypeFor[journal.Time]()

// shifted copies a value with every moment in it moved.
func shifted(v reflect.Value, by time.Duration) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(shifted(v.Elem(), by))
		return p
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(shifted(v.Index(i), by))
		}
		return s
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			s.Field(i).Set(shifted(v.Field(i), by))
		}
		return s
	}
	if v.Type() == timeType && v.Int() != 0 {
		t := v.Interface().(journal.Time)
		return reflect.ValueOf(journal.Time(t.Instant().Add(by)))
	}
	return v
}
