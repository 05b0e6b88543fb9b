package observe

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/barnabastest"
	"github.com/barnabas-mq/barnabas/internal/journal"
)

// rigged is a real broker in this process, with a topic that holds some records.
type rigged struct {
	t    *testing.T
	b    *barnabastest.Broker
	dial Dial
}

func rig(t *testing.T) *rigged {
	t.Helper()
	b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("orders", 4))
	r := &rigged{t: t, b: b}
	r.dial = func(_ context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(r.opts(), opts...)...)
	}
	cl := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 40 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: int32(i % 4), Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *rigged) opts() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(r.b.Bootstrap()...), kgo.Dialer(r.b.Dialer()), kgo.MetadataMinAge(50 * time.Millisecond)}
}

func (r *rigged) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append(r.opts(), opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

// member joins the group and returns when it has partitions.
func (r *rigged) member(group, client string) *kgo.Client {
	r.t.Helper()
	owns := make(chan struct{}, 100)
	cl := r.client(kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.ClientID(client), kgo.Balancers(kgo.RangeBalancer()), kgo.HeartbeatInterval(100*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got["orders"]) > 0 {
				owns <- struct{}{}
			}
		}))
	select {
	case <-owns:
	case <-time.After(20 * time.Second):
		r.t.Fatalf("%s got no partitions", client)
	}
	return cl
}

func described(incidents []journal.Incident) (out []string) {
	for _, inc := range incidents {
		by := "-"
		if m := inc.Trigger.Member; m != nil {
			by = m.Client
		}
		out = append(out, string(inc.Cause)+" "+by)
	}
	return out
}

// TestJournalAndOffsetsTellTheSame: a real group, read from the broker's journal and rebuilt from the offsets topic as from any Kafka.
func TestJournalAndOffsetsTellTheSame(t *testing.T) {
	r := rig(t)
	const group = "hostile \x1b[2J\u202e group"
	one := r.member(group, "one")
	two := r.member(group, "two")
	if err := two.LeaveGroupContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	offsets, err := ReadOffsets(t.Context(), r.dial, group, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer offsets.Close()
	got := make(chan journal.Incident, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	over := make(chan error, 1)
	all := slices.Clone(offsets.Incidents) // before it grows
	go func() { over <- offsets.Follow(ctx, group, func(inc journal.Incident) { got <- inc }) }()
	if err := one.LeaveGroupContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for len(all) == 0 || all[len(all)-1].StateAfter != "Empty" { // what came after the reading is followed
		select {
		case inc := <-got:
			all = append(all, inc)
		case <-ctx.Done():
			t.Fatalf("the end of the group was not followed: %v", described(all))
		}
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	all = journal.Latest(all)
	if d := described(all); !slices.Contains(d, "C01 one") || !slices.Contains(d, "C02 two") {
		t.Errorf("from the offsets topic: %v", d)
	}
	for _, inc := range all {
		if inc.Confidence == journal.Measured {
			t.Errorf("%s is said to be measured, from two records: %s", inc.Cause, inc.ID)
		}
		if story := journal.Story(&inc); strings.ContainsAny(story, "\x1b\u202e") {
			t.Errorf("a story that moves the cursor: %q", story)
		}
	}

	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var exact *Reading
	for exact == nil || len(exact.Incidents) == 0 || exact.Incidents[len(exact.Incidents)-1].StateAfter != "Empty" { // the journal is written behind the group's back
		if exact != nil {
			exact.Close()
		}
		if exact, err = ReadJournal(ctx, r.dial, group, time.Time{}, Want{}); err != nil {
			t.Fatal(err)
		}
	}
	defer exact.Close()
	if d := described(exact.Incidents); exact.Source != journal.FromJournal || !slices.Contains(d, "C01 one") || !slices.Contains(d, "C02 two") || !slices.Contains(d, "C04 two") {
		t.Errorf("from the journal: %v", d)
	}
	for i, inc := range exact.Incidents {
		if i > 0 && inc.Began < exact.Incidents[i-1].Began {
			t.Error("out of order")
		}
	}
}

func TestReadingSaysWhatIsNotThere(t *testing.T) {
	r := rig(t)
	if _, err := ReadOffsets(t.Context(), r.dial, "g", time.Time{}); !errors.Is(err, ErrNoTopic) {
		t.Errorf("before the first group there is no offsets topic: %v", err)
	}
	r.member("g", "one")
	reading, err := ReadOffsets(t.Context(), r.dial, "another", time.Now().Add(-time.Hour))
	if err != nil || len(reading.Incidents) != 0 || reading.Records != 0 {
		t.Errorf("%+v, %v", reading, err)
	}
	reading.Close()
	if reading, err = ReadOffsets(t.Context(), r.dial, "g", time.Now().Add(time.Hour)); err != nil || len(reading.Incidents) != 0 {
		t.Errorf("since later than now: %+v, %v", reading, err)
	}
	reading.Close()
}

// TestLiveSeesComingsAndGoings by describe calls alone, and claims no reason.
func TestLiveSeesComingsAndGoings(t *testing.T) {
	r := rig(t)
	cl := r.client()
	r.member("g", "one")
	l := &Live{Group: "g", Every: time.Second, Now: time.Now}
	var got []journal.Incident
	var states []string
	look := func() {
		seen, err := Describe(t.Context(), cl, "g")
		if err != nil {
			t.Fatal(err)
		}
		l.take(time.Now(), seen, func(inc journal.Incident) { got = append(got, inc) }, func(_ time.Time, s string) { states = append(states, s) })
	}
	settled := func(members int) {
		for {
			seen, err := Describe(t.Context(), cl, "g")
			if err != nil || t.Context().Err() != nil {
				t.Fatal(err)
			}
			if seen != nil && !restless(seen.State) && len(seen.Value.Members) == members {
				return
			}
		}
	}
	settled(1)
	look()
	two := r.member("g", "two")
	settled(2)
	look()
	if d := described(got); len(d) != 1 || d[0] != "C02 two" {
		t.Errorf("a member came: %v", d)
	}
	if err := two.LeaveGroupContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled(1)
	look()
	if len(got) != 2 || got[1].Cause.Known() || got[1].Trigger.Member == nil || got[1].Trigger.Member.Client != "two" || got[1].GenerationAfter != -1 {
		t.Errorf("a member went, and why cannot be seen: %+v", described(got))
	}
	if len(states) == 0 || states[0] != "Stable" {
		t.Errorf("states %v", states)
	}
	if seen, err := Describe(t.Context(), cl, "nobody"); err != nil || seen != nil {
		t.Errorf("a group that is not there: %+v, %v", seen, err)
	}
}

// TestOwnersShowWhoDoesNothing: a member holds its partitions, commits nothing, and records come in.
func TestOwnersShowWhoDoesNothing(t *testing.T) {
	r := rig(t)
	cl := r.member("g", "stuck")
	at := map[int32]kgo.EpochOffset{}
	for p := range int32(3) { // the fourth partition was never committed
		at[p] = kgo.EpochOffset{Epoch: -1, Offset: 2}
	}
	cl.CommitOffsetsSync(t.Context(), map[string]map[int32]kgo.EpochOffset{"orders": at}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	mid := time.Now()
	feed := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range 5 {
		if err := feed.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Timestamp: mid.Add(time.Second), Value: []byte("late")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	// As if it were looked at two minutes later.
	now := mid.Add(2 * time.Minute)
	commits, err := Commits(t.Context(), r.dial, "g", mid.Add(-time.Hour))
	if err != nil || len(commits) != 3 {
		t.Fatalf("%d partitions were committed: %v", len(commits), err)
	}
	owners, err := Owners(t.Context(), feed, "g", 2*time.Minute, now, mid.Add(-time.Hour), commits)
	if err != nil || len(owners) != 3 {
		t.Fatalf("%+v, %v", owners, err)
	}
	for _, o := range owners {
		lag, before := int64(8), int64(8) // ten records, two are done
		if o.Partition == 0 {
			lag = 13
		}
		if o.Lag != lag || o.LagBefore != before || o.CommitSilence == nil || o.CommitSilence.D() < 110*time.Second || o.Client != "stuck" {
			t.Errorf("%+v", o)
		}
	}
	found := journal.Detect(nil, journal.Window{Live: owners, StuckAfter: time.Minute})
	if len(found) != 1 || found[0].Detector != journal.StuckOwner || !strings.Contains(found[0].Text, "orders-0") {
		t.Errorf("%+v", found)
	}
}

// TestPartitionOfIsKafkas: Java's String.hashCode over UTF-16, and Utils.abs.
func TestPartitionOfIsKafkas(t *testing.T) {
	for group, want := range map[string]int32{"": 0, "a": 97 % 50, "orders": 1008770331 % 50, "polygenelubricants": 0, "\U0001F600": 1772899 % 50} {
		if got := PartitionOf(group, 50); got != want {
			t.Errorf("%q: %d, want %d", group, got, want)
		}
	}
}

// TestAThreadPoolUnderAutoCommitLosesRecords: records are handed to workers, the next poll lets the client commit them, and the process dies before the workers
// are done. Who comes next begins behind them.
func TestAThreadPoolUnderAutoCommitLosesRecords(t *testing.T) {
	r := rig(t)
	committed := make(chan struct{}, 100)
	cl := r.client(kgo.ConsumerGroup("pool"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(100*time.Millisecond),
		kgo.AutoCommitCallback(func(_ *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if err == nil && resp != nil && len(req.Topics) > 0 {
				committed <- struct{}{}
			}
		}))
	handed := map[int32]int64{} // the offset behind the last record handed over; no worker has finished any of them
	for n := 0; n < 40; {
		fs := cl.PollRecords(t.Context(), 10)
		fs.EachRecord(func(rec *kgo.Record) { handed[rec.Partition], n = rec.Offset+1, n+1 })
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the poll loop goes on, as it does beside a pool
		for ctx.Err() == nil {
			cl.PollRecords(ctx, 10)
		}
	}()
	adm := kadm.NewClient(r.client())
	lost := int64(0)
	for deadline := time.Now().Add(20 * time.Second); lost < 40 && time.Now().Before(deadline); {
		select {
		case <-committed:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was committed")
		}
		offsets, err := adm.FetchOffsets(t.Context(), "pool")
		if err != nil {
			t.Fatal(err)
		}
		lost = 0
		offsets.Each(func(o kadm.OffsetResponse) { lost += min(o.At, handed[o.Partition]) })
	}
	cancel()
	if lost != 40 {
		t.Errorf("%d of 40 records are committed that nobody has finished", lost)
	}
}
