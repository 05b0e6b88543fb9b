package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/sim"
)

func TestPaceOfAMember(t *testing.T) {
	a, b := kafka.TopicPartition{Topic: "t"}, kafka.TopicPartition{Topic: "t", Partition: 1}
	type sums = map[kafka.TopicPartition]int64
	for name, c := range map[string]struct {
		seen      []sums // a second apart
		ends      sums   // when the window began
		speed     float64
		ok, never bool
	}{
		"from the first commit seen to the last": {seen: []sums{{a: 5}, {a: 5}, {a: 100, b: 3}, {a: 100, b: 3}, {a: 150, b: 13}, {a: 150, b: 13}}, ends: sums{a: 1000, b: 1000}, speed: 30, ok: true},
		"one commit tells nothing":               {seen: []sums{{a: 5}, {a: 100}, {a: 100}}, ends: sums{a: 1000}},
		"no commit":                              {seen: []sums{{a: 5}, {a: 5}}, ends: sums{a: 1000}, never: true},
		"set back by somebody":                   {seen: []sums{{a: 50}, {a: 60}, {a: 10}, {a: 20}}, ends: sums{a: 1000}, never: true},
		"it keeps up":                            {seen: []sums{{a: 5}, {a: 10}, {a: 20}, {a: 30}}, ends: sums{a: 8}, speed: 10, ok: true, never: true},
		"what it stands still on is no work":     {seen: []sums{{a: 5, b: 7}, {a: 10, b: 7}, {a: 20, b: 7}}, ends: sums{a: 8, b: 1000}, speed: 10, ok: true, never: true},
		"nothing committed before":               {seen: []sums{{}, {a: 10}, {a: 20}}, ends: sums{a: 100}, speed: 10, ok: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := pace{owns: []kafka.TopicPartition{a, b}}
			for i, s := range c.seen {
				p.see(time.Duration(i)*time.Second, s)
			}
			if v, ok := p.speed(); v != c.speed || ok != c.ok {
				t.Errorf("speed: %v %v", v, ok)
			}
			if busy := p.alwaysBusy(c.seen[0], c.seen[len(c.seen)-1], c.ends); busy == c.never {
				t.Errorf("busy: %v", busy)
			}
		})
	}
}

// TestSimulateALiveGroupAsItWorks looks at a member that never gets to the end of its partition: what it is set to and how long it works are in the file.
func TestSimulateALiveGroupAsItWorks(t *testing.T) {
	addr, stop := serveHere(t, filepath.Join(t.TempDir(), "data"))
	defer stop()
	ok(t, addr, "", "topics", "create", "orders", "-p", "1")
	ok(t, addr, strings.Repeat("x\n", 50_000), "produce", "orders")
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumerGroup("app"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.SessionTimeout(20*time.Second), kgo.RebalanceTimeout(90*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const work = 2 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	working, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ctx.Err() == nil; {
			fs := cl.PollRecords(ctx, 10)
			time.Sleep(time.Duration(fs.NumRecords()) * work)
			if err := cl.CommitRecords(ctx, fs.Records()...); err == nil && first && fs.NumRecords() > 0 {
				first = false
				close(working)
			}
		}
	}()
	defer func() { cancel(); <-done }()
	select {
	case <-working:
	case <-time.After(30 * time.Second):
		t.Fatal("the member commits nothing")
	}
	file := filepath.Join(t.TempDir(), "app.yaml")
	var text string
	for range 20 { // until two commits fall into a window
		ok(t, addr, "", "simulate", "--from-group", "app", "--window", "2s", "--save", file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if text = string(b); strings.Contains(text, "Measured:") {
			break
		}
	}
	for _, want := range []string{"session.timeout.ms: 20000 ", "max.poll.interval.ms: 90000\n", "# Measured: 1 of 1 members had a backlog all the time"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	m := regexp.MustCompile(`processing.time: (\S+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no processing.time in\n%s", text)
	}
	// It cannot be faster than it is; how much slower depends on the machine. The looks see a commit late by a little.
	if got, err := time.ParseDuration(m[1]); err != nil || got < work*3/4 {
		t.Errorf("processing.time is %s, the work on a record %v (%v)", m[1], work, err)
	}
}

// The lag that was measured is there at time zero, and not worked off before; topics may be called anything that Kafka takes.
func TestSimulateALiveGroupFromTheLagItHas(t *testing.T) {
	g := liveGroup{name: "app: {", protocol: "sticky", measured: 10 * time.Second,
		topics: []liveTopic{{name: "---", partitions: 4, rate: 100, lag: 50_000, silent: 2}, {name: "1e3", partitions: 1, rate: 1.5}, {name: "null", partitions: 1}},
		fleets: []liveFleet{{topics: []string{"---", "1e3", "null", "gone"}, count: 2, load: 200, speed: 500}, {topics: []string{"---"}, static: true, count: 1}}}
	text := g.scenario()
	if !strings.Contains(text, "backlog: 50000 # lag measured, a partition, on average; of 2 of them nothing is committed, and the lag not known\n") {
		t.Errorf("it does not say what is not known:\n%s", text)
	}
	sc, err := sim.Load("app", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if sc.Name != g.name || len(sc.Members[0].Topics) != 3 {
		t.Errorf("%q, %q", sc.Name, sc.Members[0].Topics)
	}
	for seed := range uint64(5) {
		r, err := sim.Run(sc, sim.Options{Seed: seed, Record: 1000})
		if err != nil {
			t.Fatal(err)
		}
		// Until all have what is theirs, some seconds pass, in which two work off 500 a second each, one as much as it can, and 400 come.
		if lag := r.Recorded.Points[0].Total; lag < 4*50_000*9/10 || lag > 4*50_000*11/10 {
			t.Errorf("seed %d: a lag of %d at time zero", seed, lag)
		}
	}
}
