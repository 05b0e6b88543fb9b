package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// number is a setting of the environment.
func number(name string, otherwise uint64) uint64 {
	if v, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return v
	}
	return otherwise
}

// TestTorture runs random scenarios from seed SIM_START on, SIM_RUNS of them, and first those that have failed before.
func TestTorture(t *testing.T) {
	start, runs := number("SIM_START", 1), number("SIM_RUNS", 150)
	if testing.Short() {
		runs = min(runs, 20)
	}
	text, err := os.ReadFile("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		seed, _, _ := strings.Cut(line, " ")
		if seed = strings.TrimSpace(seed); seed == "" || seed[0] == '#' {
			continue
		}
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v", err)
		}
		torture(t, n, false)
	}
	t.Logf("seeds %d to %d", start, start+runs-1)
	for seed := start; seed < start+runs && !t.Failed(); seed++ {
		torture(t, seed, runs == 1)
	}
}

func torture(t *testing.T, seed uint64, tell bool) {
	t.Helper()
	sc, err := Torture(seed)
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Seed: seed}
	if tell {
		opt.Notes = func(n Note) {
			t.Logf("%9.3f  %s", n.At.Seconds(), journal.Say(n.Abs, n.Note))
		}
	}
	r, err := Run(sc, opt)
	if err != nil {
		t.Errorf("seed %d: %v\nrepeat with: SIM_START=%d SIM_RUNS=1 go test ./internal/sim -count=1 -run '^TestTorture$' -v", seed, err, seed)
	}
	if tell {
		t.Logf("%+v", r)
	}
}

func TestTortureDoesHurt(t *testing.T) {
	var rebalances, evicted, fencedFor, duplicates int64
	for seed := range uint64(20) {
		sc, err := Torture(seed)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(sc, Options{Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		rebalances, evicted, duplicates = rebalances+r.Rebalances, evicted+r.Evicted, duplicates+r.Duplicates
		fencedFor += int64(r.Fenced)
	}
	if rebalances < 50 || evicted < 10 || duplicates == 0 || fencedFor == 0 {
		t.Errorf("20 runs: %d rebalances, %d put out, %d duplicates, %v read without right", rebalances, evicted, duplicates, time.Duration(fencedFor))
	}
}
