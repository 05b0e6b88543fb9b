package sim

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/scenarios"
)

// scenario is a built-in scenario with settings changed.
func scenario(t testing.TB, name string, set ...string) *Scenario {
	t.Helper()
	text, ok := scenarios.Text(name)
	if !ok {
		t.Fatalf("there is no scenario %s", name)
	}
	return parse(t, string(text), set...)
}

func parse(t testing.TB, text string, set ...string) *Scenario {
	t.Helper()
	var overrides []Override
	for i := 0; i < len(set); i += 2 {
		overrides = append(overrides, Override{set[i], set[i+1]})
	}
	sc, err := Load("test.yaml", []byte(text), overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func run(t testing.TB, sc *Scenario, seed uint64) *Result {
	t.Helper()
	r, err := Run(sc, Options{Seed: seed})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return r
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	hash := func(seed uint64) (string, []Note) {
		var notes []Note
		sc := scenario(t, "consumer-restart", "jitter", "20ms", "loss", "0.01", "processing.time", "exponential(1ms)")
		r, err := Run(sc, Options{Seed: seed, Notes: func(n Note) { notes = append(notes, n) }})
		if err != nil {
			t.Fatal(err)
		}
		return r.Hash, notes
	}
	first, notes := hash(7)
	again, _ := hash(7)
	other, _ := hash(8)
	if first != again {
		t.Errorf("traces %s and %s of one seed", first, again)
	}
	if first == other {
		t.Error("two seeds, one trace")
	}
	if len(notes) < 20 {
		t.Errorf("%d notes only", len(notes))
	}
}

// TestTracesAreTheSameEverywhere holds the hashes of a few runs, made on one machine, against this one, several at a time.
func TestTracesAreTheSameEverywhere(t *testing.T) {
	const file = "testdata/traces.txt"
	var lines [8]string
	var group sync.WaitGroup
	for i := range lines {
		group.Go(func() {
			sc, err := Torture(uint64(i))
			if err != nil {
				t.Error(err)
				return
			}
			r, err := Run(sc, Options{Seed: uint64(i)})
			if err != nil {
				t.Error(err)
				return
			}
			lines[i] = fmt.Sprintf("%d %s %d records, %d rebalances, paused %d ns\n", i, r.Hash, r.Records, r.Rebalances, r.Paused)
		})
	}
	group.Wait()
	got := strings.Join(lines[:], "")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("a run of a seed is not what it was. If the coordinator, an assignor or a model was changed on purpose: go test ./internal/sim -run TestTraces -rewrite\n%s", diff)
	}
}

// A deploy of everybody goes through the fleets one process after another, and leaves out who is not there.
func TestEverybodyIsDeployedInTurn(t *testing.T) {
	sc := parse(t, "duration: 5m\nmembers: [{name: a, static: true}, {name: b, count: 2, static: true}, {name: late, count: 2, started: false, static: true}]")
	if err := sc.AddEvent("at=10s do=rolling member=all down=10s pause=20s"); err != nil {
		t.Fatal(err)
	}
	if err := sc.AddEvent("at=4m do=start member=all pause=0s"); err != nil {
		t.Fatal(err)
	}
	w, r := runWorld(t, sc, 1)
	// Twelve partitions, each without its member for ten seconds; and those that move to the two that come at last, for a heartbeat.
	if p := r.Paused.Seconds(); p < 120 || p > 120+4*3.2 {
		t.Errorf("paused %v partition-seconds, want 120 for five in turn", p)
	}
	if r.PauseMax < 10*time.Second || r.PauseMax > 11*time.Second || r.AllStopped != 0 || w.running != 7 || r.LoadMin != 1 || r.LoadMax != 2 {
		t.Errorf("longest pause %v, nothing read for %v, %d members with %d to %d", r.PauseMax, r.AllStopped, w.running, r.LoadMin, r.LoadMax)
	}
}
