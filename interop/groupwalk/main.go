// Command groupwalk walks consumer groups through random requests, the same at two brokers at once, and compares what they say after every step.
//
//	go run ./groupwalk                               2,000 walks, Apache Kafka beside Barnabas
//	go run ./groupwalk -b kafka -walks 50            Apache Kafka beside itself: proves that the comparison is quiet
//	go run ./groupwalk -mode plain -seed 42 -v       one walk, told step by step
//	go run ./groupwalk -plant Heartbeat -walks 50    falsifies an error code of the second broker: must fail
//
// wirediff asks each question once, of a group made for it. Here a question meets whatever state the requests before it have left: joins and syncs that
// wait, members that were replaced, ids that were given and not used, clients that went away. A walk is drawn from its seed alone. After each step both brokers
// are watched until every request is answered or surely waits, and then the answers and the groups, as DescribeGroups shows them, must be
// the same, field by field. Member ids have names that tell whose they are; throttle times are left out, and nothing else is.
//
// Where Kafka leaves a choice to a hash table (who leads when the leader is gone), a walk in which the brokers chose differently is walked again. A difference is
// walked again, too, and only what repeats itself counts; then steps are left out as long as it is still there, and what remains is printed
// with the command that repeats it. What is meant to be different stands in explained.txt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type options struct {
	kinds   [2]rig.Kind
	modes   []string
	walks   int
	seed    uint64
	steps   string
	workers int
	verbose bool
	plant   string
	stop    int // differences after which it ends
}

func main() {
	var o options
	a := flag.String("a", "kafka", "first broker: kafka or barnabas")
	b := flag.String("b", "barnabas", "second broker: kafka or barnabas")
	mode := flag.String("mode", "", "only this mode: plain (no timer fires), timed (delays and timeouts are what happens) or expiry (of offsets and groups); default: all, in one walk of twenty and one of a hundred for the last two")
	flag.IntVar(&o.walks, "walks", 2000, "how many walks")
	flag.Uint64Var(&o.seed, "seed", 1, "the first walk's seed; the others' follow")
	flag.StringVar(&o.steps, "steps", "", "only these steps of the walk, as 0,3-7,12")
	flag.IntVar(&o.workers, "workers", 6, "walks at a time")
	flag.BoolVar(&o.verbose, "v", false, "print transcripts")
	flag.StringVar(&o.plant, "plant", "", "falsify the error codes of the second broker's answers to this API")
	flag.IntVar(&o.stop, "stop", 5, "end after so many differences")
	flag.Parse()
	o.kinds = [2]rig.Kind{rig.Kind(*a), rig.Kind(*b)}
	o.modes = []string{"plain", "timed", "expiry"}
	if *mode != "" {
		o.modes = []string{*mode}
	}
	if isSet("seed") && !isSet("walks") {
		o.walks = 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := compareBrokers(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "groupwalk:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// tally is what all walks together have shown.
type tally struct {
	mu                    sync.Mutex
	walks, steps, answers int
	again, givenUp, ended int
	differ                int
	unsteady, flickers    int // differed once and not again; of these, where time has no say
	excused               map[*explanation]int
}

func compareBrokers(ctx context.Context, o options) (bool, error) {
	root, err := rig.Root()
	if err != nil {
		return false, err
	}
	var table []*explanation
	if o.kinds[0] != o.kinds[1] {
		if table, err = readExplained(filepath.Join(root, "interop", "groupwalk", "explained.txt")); err != nil {
			return false, err
		}
	}
	t := &tally{excused: map[*explanation]int{}}
	began := time.Now()
	for _, name := range o.modes {
		m, ok := modes[name]
		if !ok {
			return false, fmt.Errorf("no such mode: %q", name)
		}
		n := o.walks
		if len(o.modes) > 1 {
			n = map[string]int{"plain": o.walks - o.walks/20 - o.walks/100, "timed": o.walks / 20, "expiry": o.walks / 100}[name]
		}
		if err := walkAll(ctx, o, m, n, table, t); err != nil {
			return false, err
		}
		if t.differ >= o.stop {
			break
		}
	}
	idle := 0
	if full := len(o.modes) > 1 && o.walks >= 1000 && t.differ == 0; full {
		for _, x := range table {
			if t.excused[x] == 0 {
				idle++
				fmt.Printf("explained.txt:%d explains nothing any more: %s | %s = %s -> %s\n", x.line, x.api, x.path, x.a, x.b)
			}
		}
	}
	excused := 0
	for _, n := range t.excused {
		excused += n
	}
	fmt.Printf("%s beside %s: %d walks of %d steps, %d answers compared, in %s: %d differences, %d fields explained\n",
		o.kinds[0], o.kinds[1], t.walks, t.steps, t.answers, time.Since(began).Round(time.Second), t.differ, excused)
	fmt.Printf("walked again because a leader was chosen by chance: %d times, in vain for %d walks; %d walks differed once and not again; %d ended early, where the brokers part on purpose; %d explanations without a difference\n",
		t.again, t.givenUp, t.unsteady, t.ended, idle)
	return t.differ == 0 && idle == 0 && t.flickers == 0, nil
}

// pair is two brokers that run.
type pair struct {
	brokers [2]*rig.Broker
	plays   atomic.Int64
}

func start(ctx context.Context, kinds [2]rig.Kind, m mode) (*pair, error) {
	var p pair
	var errs [2]error
	var both sync.WaitGroup
	for i, kind := range kinds {
		both.Go(func() {
			properties := map[string]string{}
			for k, v := range m.properties {
				properties[k] = v
			}
			if kind == rig.Kafka { // one thread of each kind: see fences
				for _, k := range []string{"num.network.threads", "num.io.threads", "group.coordinator.threads"} {
					properties[k] = "1"
				}
				properties["group.coordinator.append.linger.ms"] = "0"
			}
			if kind == rig.Barnabas { // as Kafka does; what is on the disk is none of the questions here
				properties["log.flush"] = "never"
			}
			p.brokers[i], errs[i] = rig.Start(ctx, kind, rig.Options{HeapMiB: 256, Properties: properties})
		})
	}
	both.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		p.close()
		return nil, err
	}
	for _, b := range p.brokers {
		if err := prepare(ctx, b); err != nil {
			p.close()
			return nil, fmt.Errorf("%s: %w", b.Kind, err)
		}
	}
	return &p, nil
}

func (p *pair) close() {
	for _, b := range p.brokers {
		if b != nil {
			b.Close()
		}
	}
}

// prepare makes the topics that all walks share, and waits for the coordinator.
func prepare(ctx context.Context, b *rig.Broker) error {
	p, err := newPlayer(ctx, b, &walk{groups: 1}, "first")
	if err != nil {
		return err
	}
	defer p.close()
	for name, partitions := range map[string]int32{"shared": 3, "single": 1} {
		if ok, err := createTopic(ctx, p, name, partitions); err != nil || !ok {
			return fmt.Errorf("make the topic %s: %w", name, errors.Join(err, ctx.Err()))
		}
	}
	for i := range 40 { // enough names to meet every partition of the offsets topic
		ready, err := p.await(ctx, func() kmsg.Request {
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKey = 3, fmt.Sprint("walk-ready-", i)
			return q
		}, func(r kmsg.Response) bool { return r.(*kmsg.FindCoordinatorResponse).ErrorCode == 0 })
		if err == nil && ready {
			ready, err = p.await(ctx, func() kmsg.Request {
				q := kmsg.NewPtrOffsetFetchRequest()
				q.Version, q.Group = 7, fmt.Sprint("walk-ready-", i)
				return q
			}, func(r kmsg.Response) bool { return r.(*kmsg.OffsetFetchResponse).ErrorCode == 0 })
		}
		if err != nil || !ready {
			return fmt.Errorf("the coordinator is not ready: %w", err)
		}
	}
	return nil
}

func walkAll(ctx context.Context, o options, m mode, n int, table []*explanation, t *tally) error {
	p, err := start(ctx, o.kinds, m)
	if err != nil {
		return err
	}
	defer p.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	at := o.workers
	if m.timed {
		at *= 4 // they wait, most of the time
	}
	for range min(at, n) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if int(i) >= n {
					return
				}
				w := generate(m, o.seed+uint64(i))
				if err := p.judge(ctx, o, w, table, t); err != nil {
					cancel(fmt.Errorf("mode %s, seed %d: %w", m.name, w.seed, err))
				}
				t.mu.Lock()
				if t.differ >= o.stop {
					next.Store(int64(n))
				}
				t.mu.Unlock()
			}
		})
	}
	workers.Wait()
	for _, b := range p.brokers {
		select {
		case <-b.Done():
			return fmt.Errorf("%s ended during the comparison; its last lines:\n%s", b.Kind, b.Log(40))
		default:
		}
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, p.brokers[1].Log(10))
	}
	return nil
}

// outcome is how one play of a walk, or of some of its steps, ended.
type outcome struct {
	diff       *difference
	transcript []string
	answers    int
	excused    map[*explanation]int
	ended      bool // early, where the brokers part on purpose
	retried    int
	vain       bool
}

// triesMax bounds how often a walk is begun again because of a choice of chance, and neverAlike how often that may be at the same step: of four
// members one in four leads, so brokers that both choose by chance agree sooner.
const (
	triesMax   = 60
	neverAlike = 30
)

// play walks the given steps, again and again while leaders are chosen differently by chance.
func (p *pair) play(ctx context.Context, o options, w *walk, keep []int, table []*explanation, patience time.Duration) (outcome, error) {
	var out outcome
	chances := map[int]int{} // by step
	for out.retried = 0; out.retried < triesMax; out.retried++ {
		l := &lockstep{table: table, patience: patience, excused: map[*explanation]int{}}
		for _, i := range keep {
			l.steps = append(l.steps, w.steps[i])
		}
		nonce := fmt.Sprintf("%d-%d-%d", os.Getpid(), w.seed, p.plays.Add(1))
		err := l.walk(ctx, p, w, nonce, o.plant, &out)
		out.transcript, out.answers, out.excused, out.ended = l.transcript, l.compared, l.excused, l.ended
		if !errors.Is(err, errChance) {
			return out, err
		}
		if chances[l.at]++; chances[l.at] == neverAlike {
			out.diff = &difference{api: "JoinGroup", what: "the election of a leader", path: "LeaderID", a: "one", b: "never the same", step: l.at}
			return out, nil
		}
	}
	out.vain = true
	return out, nil
}

func (l *lockstep) walk(ctx context.Context, p *pair, w *walk, nonce, plant string, out *outcome) error {
	for i, b := range p.brokers {
		pl, err := newPlayer(ctx, b, w, nonce)
		if err != nil {
			return err
		}
		defer pl.close()
		if i == 1 && plant != "" {
			pl.plant = planted(plant)
		}
		l.players[i] = pl
	}
	var err error
	out.diff, err = l.run(ctx)
	return err
}

// judge walks a walk and reports what it showed.
func (p *pair) judge(ctx context.Context, o options, w *walk, table []*explanation, t *tally) error {
	keep, err := parseSteps(o.steps, len(w.steps))
	if err != nil {
		return err
	}
	first, err := p.play(ctx, o, w, keep, table, patience)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.walks++
	t.steps += len(keep)
	t.answers += first.answers
	t.again += first.retried
	if first.ended {
		t.ended++
	}
	if first.vain {
		t.givenUp++
	}
	for x, n := range first.excused {
		t.excused[x] += n
	}
	if o.verbose {
		fmt.Printf("mode %s, seed %d\n%s\n", w.mode, w.seed, strings.Join(first.transcript, "\n"))
	}
	t.mu.Unlock()
	if first.diff == nil {
		return nil
	}
	// Only what repeats itself is a difference of the brokers.
	keep = keep[:first.diff.step+1]
	last, steady := first, false
	for range 3 {
		again, err := p.play(ctx, o, w, keep, table, patience)
		if err != nil {
			return err
		}
		if again.diff != nil {
			last, steady = again, true
			break
		}
	}
	if !steady {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.unsteady++
		if !modes[w.mode].timed { // where timers are the event, a busy machine may be late
			t.flickers++
		}
		fmt.Printf("mode %s, seed %d: differed once at step %d and not again: %s\n%s\n", w.mode, w.seed, first.diff.step, first.diff, strings.Join(tail(first.transcript, 12), "\n"))
		return nil
	}
	keep, last, err = p.shrink(ctx, o, w, keep, last, table)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.differ++
	fmt.Printf("\n%s\n%s\n  repeat: go run ./groupwalk -a %s -b %s -mode %s -seed %d -steps %s -v\n\n", last.diff, strings.Join(last.transcript, "\n"),
		o.kinds[0], o.kinds[1], w.mode, w.seed, formatSteps(keep))
	return nil
}

func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// shrink leaves out steps, many at first and then one by one, as long as the walk still ends in a difference of the same kind.
func (p *pair) shrink(ctx context.Context, o options, w *walk, keep []int, last outcome, table []*explanation) ([]int, outcome, error) {
	began := time.Now()
	for size := len(keep) / 2; size >= 1; {
		cut := false
		for at := 0; at < len(keep) && time.Since(began) < shrinkTime; {
			rest := slices.Concat(keep[:at], keep[min(at+size, len(keep)):])
			got, err := p.play(ctx, o, w, rest, table, patienceShrinking)
			if err != nil {
				return nil, last, err
			}
			if got.diff != nil && got.diff.api == last.diff.api && got.diff.path == last.diff.path && got.diff.a == last.diff.a && got.diff.b == last.diff.b {
				keep, last, cut = rest[:got.diff.step+1], got, true
				continue
			}
			at += size
		}
		if !cut || size > 1 {
			size /= 2
		}
	}
	return keep, last, nil
}

// shrinkTime bounds the work on one difference.
const shrinkTime = 60 * time.Second
