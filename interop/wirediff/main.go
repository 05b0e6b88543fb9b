// Command wirediff sends one request per API key and version, with every field set and in several right and wrong forms, to two brokers and
// prints every field in which their answers differ.
//
//	go run ./wirediff                          Apache Kafka beside Barnabas
//	go run ./wirediff -b kafka                 Apache Kafka beside itself: proves that the comparison is quiet
//	go run ./wirediff -key Fetch -case session only some of it
//
// Only what must differ is taken out of the comparison: topic, cluster, node, session and fresh producer ids, hosts and ports, the broker's
// clock, the size of its disk, throttle time, data directories, and the order of lists. A difference that is meant to be stands in
// explained.txt with its reason; any other makes the command fail, and so does an explanation that nothing needs any more.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/explained"
	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	a := flag.String("a", "kafka", "first broker: kafka or barnabas")
	b := flag.String("b", "barnabas", "second broker: kafka or barnabas")
	explained := flag.String("explained", "", "table of explained differences (default: explained.txt beside this command; none when both brokers are the same)")
	onlyKey := flag.String("key", "", "only this API (name, * stands for anything)")
	onlyCase := flag.String("case", "", "only cases whose name contains this")
	all := flag.Bool("all", false, "print explained differences too")
	out := flag.String("json", "", "write all differences to this file")
	verbose := flag.Bool("v", false, "print which cases are slow")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	partial := *onlyKey != "" || *onlyCase != ""
	code, err := compareBrokers(ctx, rig.Kind(*a), rig.Kind(*b), *explained, *onlyKey, *onlyCase, *out, *all, *verbose, partial)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wirediff:", err)
		os.Exit(2)
	}
	os.Exit(code)
}

func compareBrokers(ctx context.Context, kindA, kindB rig.Kind, explainedPath, onlyKey, onlyCase, outPath string, all, verbose, partial bool) (int, error) {
	var table []*explanation
	if kindA != kindB || explainedPath != "" {
		if explainedPath == "" {
			root, err := rig.Root()
			if err != nil {
				return 0, err
			}
			explainedPath = filepath.Join(root, "interop", "wirediff", "explained.txt")
		}
		var err error
		if table, err = readExplained(explainedPath); err != nil {
			return 0, err
		}
	}
	brokers, err := startBoth(ctx, kindA, kindB)
	if err != nil {
		return 0, err
	}
	defer brokers[0].Close()
	defer brokers[1].Close()
	var envs [2]*Env
	for i, b := range brokers {
		if envs[i], err = newEnv(ctx, b); err != nil {
			return 0, fmt.Errorf("%s: %w", b.Kind, err)
		}
		setup := &run{ctx: ctx, env: envs[i], key: -1, out: flat{}}
		seed(setup)
		setup.close()
		if why := setup.out["setup"]; why != "" {
			return 0, fmt.Errorf("%s: %s", b.Kind, why)
		}
	}

	rows := compareVersions(envs)
	requests, fields := 0, 0
	for _, c := range cases() {
		name := kmsg.NameForKey(c.key)
		if onlyKey != "" && !explained.Glob(onlyKey, name) || onlyCase != "" && !strings.Contains(c.name, onlyCase) {
			continue
		}
		lo, hi, ok := common(envs, c.key)
		if !ok {
			continue
		}
		for v := max(lo, c.min); v <= min(hi, c.max); v++ {
			var runs [2]*run
			var both sync.WaitGroup
			began := time.Now()
			for i, e := range envs {
				runs[i] = &run{ctx: ctx, env: e, key: c.key, v: v, out: flat{}}
				both.Go(func() {
					c.do(runs[i])
					runs[i].close()
				})
			}
			both.Wait()
			if ctx.Err() != nil {
				return 0, fmt.Errorf("not finished in time, at %s v%d, %s: %w", name, v, c.name, ctx.Err())
			}
			if took := time.Since(began); verbose && took > 300*time.Millisecond {
				fmt.Fprintf(os.Stderr, "%s v%d, %s: %s\n", name, v, c.name, took.Round(time.Millisecond))
			}
			requests += runs[0].steps + runs[1].steps
			got := [2]flat{runs[0].out, runs[1].out}
			fields += max(len(got[0]), len(got[1]))
			rows = append(rows, compare(c.key, v, c.name, got[0], got[1])...)
		}
	}
	for i, b := range brokers {
		select {
		case <-b.Done():
			return 0, fmt.Errorf("broker %d (%s) ended during the comparison; its last lines:\n%s", i+1, b.Kind, b.Log(40))
		default:
		}
	}
	rows = merge(rows)
	return report(rows, table, kindA, kindB, requests, fields, outPath, all, partial)
}

func startBoth(ctx context.Context, a, b rig.Kind) ([2]*rig.Broker, error) {
	var brokers [2]*rig.Broker
	var errs [2]error
	done := make(chan struct{})
	for i, kind := range []rig.Kind{a, b} {
		go func() {
			brokers[i], errs[i] = rig.Start(ctx, kind, rig.Options{HeapMiB: 512})
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	for i, err := range errs {
		if err != nil {
			if other := brokers[1-i]; other != nil {
				other.Close()
			}
			return brokers, err
		}
	}
	return brokers, nil
}

// compareVersions is the first table: who advertises what.
func compareVersions(envs [2]*Env) []row {
	keys := map[int16]bool{}
	for _, e := range envs {
		for k := range e.ranges {
			keys[k] = true
		}
	}
	var rows []row
	for k := range keys {
		text := func(e *Env) string {
			if r, ok := e.ranges[k]; ok {
				return fmt.Sprintf("%d-%d", r[0], r[1])
			}
			return "not advertised"
		}
		if a, b := text(envs[0]), text(envs[1]); a != b {
			rows = append(rows, row{Key: k, Case: "advertised", Path: "versions", A: a, B: b})
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].Key < rows[j].Key })
	return rows
}

func common(envs [2]*Env, key int16) (lo, hi int16, ok bool) {
	a, oka := envs[0].ranges[key]
	b, okb := envs[1].ranges[key]
	req := kmsg.RequestForKey(key)
	if !oka || !okb || req == nil {
		return 0, 0, false
	}
	lo, hi = max(a[0], b[0]), min(a[1], b[1], req.MaxVersion())
	return lo, hi, lo <= hi
}

func report(rows []row, table []*explanation, a, b rig.Kind, requests, fields int, outPath string, all, partial bool) (int, error) {
	unexplained, explained := 0, 0
	for i := range rows {
		for _, x := range table {
			if x.covers(kmsg.NameForKey(rows[i].Key), rows[i]) {
				x.used++
				rows[i].Reason = x.reason
				break
			}
		}
		if rows[i].Reason == "" {
			unexplained++
		} else {
			explained++
		}
	}
	last := ""
	for _, r := range rows {
		if r.Reason != "" && !all {
			continue
		}
		if head := fmt.Sprintf("%s / %s", kmsg.NameForKey(r.Key), r.Case); head != last {
			fmt.Println(head)
			last = head
		}
		fmt.Printf("  v%-8s %s\n%12s %-9s %s\n%12s %-9s %s\n", versionText(r.Versions), r.Path, "", a, clip(r.A), "", b, clip(r.B))
		if r.Reason != "" {
			fmt.Printf("%12s because   %s\n", "", r.Reason)
		}
	}
	stale := 0
	for _, x := range table {
		if x.used == 0 && !partial {
			stale++
			fmt.Printf("explained.txt:%d explains nothing any more: %s | %s | %s | %s\n", x.line, x.key, x.versions, x.caseGlob, x.pathGlob)
		}
	}
	fmt.Printf("%s beside %s: %d requests each, %d fields, %d differences: %d explained, %d not; %d explanations without a difference\n",
		a, b, requests/2, fields, len(rows), explained, unexplained, stale)
	if outPath != "" {
		text, err := json.MarshalIndent(rows, "", " ")
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(outPath, append(text, '\n'), 0o644); err != nil {
			return 0, err
		}
	}
	if unexplained > 0 || stale > 0 {
		return 1, nil
	}
	return 0, nil
}

func clip(s string) string {
	if len(s) > 160 {
		return s[:157] + "..."
	}
	return s
}
