// Command bench measures Barnabas beside Apache Kafka, in one run on one machine, and keeps what it found.
//
//	go run ./bench                   the whole grid: an hour or so; rows that bench/results has for this commit are not run again
//	go run ./bench -quick            a row of each kind, one repetition: minutes
//	go run ./bench -rows produce     only rows whose name contains this
//	go run ./bench -report           no measuring: docs/benchmarks.md from what is kept
//
// Throughput and latency come from `barnabas bench`, which speaks only the Kafka protocol, so both brokers face the same driver. Brokers run
// one at a time on loopback in a process group of their own. CPU is the broker's user and system time from /proc, memory its resident peak.
// Rows come in two promises, and only like is compared with like: "page cache" (log.flush=never beside Kafka's default) and "fsync" (Barnabas'
// default beside Kafka with log.flush.interval.messages=1).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
)

type options struct {
	quick, force, report bool
	rows                 string
	repeat               int
	duration             time.Duration
	brokers              []rig.Kind
	cpus                 string
	root, results, docs  string
}

func main() {
	if os.Getenv(groups.MemberVariable) != "" { // a row needs real consumers, each a process
		os.Exit(groups.MemberMain())
	}
	var o options
	flag.BoolVar(&o.quick, "quick", false, "a row of each kind, one repetition")
	flag.BoolVar(&o.force, "force", false, "run rows again that are kept for this commit")
	flag.BoolVar(&o.report, "report", false, "only write the report from what is kept")
	flag.StringVar(&o.rows, "rows", "", "only rows whose name contains this")
	flag.IntVar(&o.repeat, "repeat", 3, "repetitions of each row")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "counted time of one measurement")
	brokers := flag.String("brokers", "barnabas,kafka", "which brokers")
	flag.StringVar(&o.cpus, "cpus", "", "pin the broker to these CPUs (a taskset list); empty: not pinned")
	flag.StringVar(&o.results, "results", "", "folder of results (default bench/results of the repository; with -quick a temporary one)")
	flag.StringVar(&o.docs, "docs", "", "report to write (default docs/benchmarks.md; with -quick none)")
	flag.Parse()
	for _, b := range strings.Split(*brokers, ",") {
		o.brokers = append(o.brokers, rig.Kind(b))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// kept is a file of bench/results: one row with all its repetitions.
type kept struct {
	Row     string                  `json:"row"`
	Group   string                  `json:"group"`
	Promise string                  `json:"promise,omitempty"`
	Commit  string                  `json:"commit"`
	Dirty   bool                    `json:"dirty"` // there were changes that are not in the commit
	When    time.Time               `json:"when"`
	Machine machine                 `json:"machine"`
	Kafka   string                  `json:"kafka"`
	Command string                  `json:"command"`
	Values  map[string][]sampleJSON `json:"values"` // broker -> repetitions
}

// sampleJSON is one repetition: names of values to values. The full answer of barnabas bench lies beside it.
type sampleJSON struct {
	Values map[string]float64 `json:"values"`
	Raw    json.RawMessage    `json:"raw,omitempty"`
}

func run(ctx context.Context, o options) error {
	var err error
	if o.root, err = rig.Root(); err != nil {
		return err
	}
	if o.quick {
		o.repeat, o.duration, o.force = 1, 2*time.Second, true
		if o.results == "" {
			if o.results, err = os.MkdirTemp("", "bench-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.results)
		}
	} else if o.docs == "" {
		o.docs = filepath.Join(o.root, "docs", "benchmarks.md")
	}
	if o.results == "" {
		o.results = filepath.Join(o.root, "bench", "results")
	}
	if err := os.MkdirAll(o.results, 0o755); err != nil {
		return err
	}
	if !o.report {
		if err := measure(ctx, o); err != nil {
			return err
		}
	}
	return report(o)
}

func measure(ctx context.Context, o options) error {
	binary, err := rig.Binary(ctx)
	if err != nil {
		return err
	}
	commit, dirty := commitOf(o.root)
	version, err := rig.KafkaVersion()
	if err != nil {
		return err
	}
	base := kept{Commit: commit, Dirty: dirty, Machine: describeMachine(o.root), Kafka: version}
	var failed []error
	for _, block := range plan(o) {
		var todo []row
		for _, r := range block.rows {
			if (o.rows == "" || strings.Contains(r.name, o.rows)) && (o.force || !have(o, r.name, commit)) {
				todo = append(todo, r)
			}
		}
		if len(todo) == 0 {
			continue
		}
		results := map[string]*kept{}
		for _, r := range todo {
			k := base
			k.Row, k.Group, k.Promise, k.Command, k.Values = r.name, r.group, string(block.promise), r.command(), map[string][]sampleJSON{}
			results[r.name] = &k
		}
		taken := measureInOrder
		if block.turns {
			taken = measureTurns
		}
		if err := taken(ctx, o, binary, block, todo, results); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed = append(failed, err)
			if block.turns {
				continue // turns that were not taken by all say nothing
			}
		}
		for _, r := range todo {
			k := results[r.name]
			if len(k.Values) < len(o.brokers) && !r.alone {
				failed = append(failed, fmt.Errorf("row %s is not complete and is not kept", r.name))
				continue
			}
			k.When = time.Now().UTC().Truncate(time.Second)
			if err := save(o, k); err != nil {
				return err
			}
		}
	}
	return errors.Join(failed...)
}

func fileOf(o options, name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, name)
	return filepath.Join(o.results, clean+".json")
}

func have(o options, name, commit string) bool {
	k, err := load(fileOf(o, name))
	return err == nil && k.Commit == commit && !k.Dirty
}

func load(path string) (*kept, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k kept
	return &k, json.Unmarshal(text, &k)
}

func save(o options, k *kept) error {
	text, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return err
	}
	path := fileOf(o, k.Row)
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func commitOf(root string) (string, bool) {
	git := func(args ...string) string {
		out, _ := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out))
	}
	if os.Getenv("BARNABAS_BIN") != "" { // whatever that was built from
		return git("rev-parse", "--short=12", "HEAD"), true
	}
	// Only what the broker is built from counts as a change.
	return git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "--", "cmd", "internal", "go.mod") != ""
}
