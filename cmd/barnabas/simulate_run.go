package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-mq/barnabas/internal/sim"
)

// simReport is what `simulate -o json` prints.
type simReport struct {
	Format   int          `json:"format"`
	Scenario string       `json:"scenario"`
	About    string       `json:"about"`
	Seed     uint64       `json:"seed"`  // the first
	Seeds    int          `json:"seeds"` // how many were asked for
	Whole    bool         `json:"whole"` // false: interrupted, so there is less than was asked for
	Variants []simVariant `json:"variants"`
}

// simVariant is one column.
type simVariant struct {
	Name string `json:"name"`
	Runs int    `json:"runs"` // that were finished
	// Metrics of the runs that were finished; of a single one that was interrupted, as far as it came.
	Metrics map[string]sim.Statistic `json:"metrics"`
	// First is the run of the first seed in full; interrupted, as far as it came.
	First *sim.Result `json:"first"`
	sc    *sim.Scenario
	done  []bool
	value [][]float64 // by metric, by seed
}

// lanesMax is how many stretches of lanes are kept for a report, of all variants.
const lanesMax = 4_000_000

// simJob is one run.
type simJob struct {
	variant, seed int
}

// runScenario runs all variants and seeds, as many at a time as there are processors, and prints what was found. Interrupted, it prints what
// is done.
func (a *app) runScenario(ctx context.Context, sc *sim.Scenario, f *simulateFlags) error {
	report := simReport{Format: 1, Scenario: sc.Name, About: oneLine(sc.About), Seed: uint64(sc.Seed), Seeds: f.seeds, Whole: true}
	list := []sim.Variant{{Name: "as it is"}}
	if f.compare {
		list = sc.Variants()
	}
	if n := len(list) * f.seeds; n > runsMax {
		return usage(fmt.Sprintf("%d variants of %d seeds each are %d runs; the most is %d", len(list), f.seeds, n, runsMax), "ask for fewer seeds, or leave variants out")
	}
	metrics := sim.Metrics()
	for _, v := range list {
		with, err := sc.With(v.Set...)
		if err != nil {
			return usage(fmt.Sprintf("variant %s: %v", v.Name, err), "see `barnabas simulate --schema`, or name variants of your own under compare")
		}
		col := simVariant{Name: v.Name, sc: with, done: make([]bool, f.seeds), value: make([][]float64, len(metrics))}
		for m := range metrics {
			col.value[m] = make([]float64, f.seeds)
		}
		report.Variants = append(report.Variants, col)
	}
	if f.html != "" { // better told before a long run than after
		file, err := os.OpenFile(f.html, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return wrap(err, "writing the report")
		}
		if err := file.Close(); err != nil {
			return wrap(err, "writing the report")
		}
	}
	var notes []sim.Note
	single := len(list) == 1 && f.seeds == 1
	jobs := make(chan simJob)
	var simulated atomic.Int64
	var finished atomic.Int64
	var mu sync.Mutex
	var firstErr error
	var group sync.WaitGroup
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(runtime.GOMAXPROCS(0), len(list)*f.seeds) {
		group.Go(func() {
			for j := range jobs {
				v := &report.Variants[j.variant]
				seed := report.Seed + uint64(j.seed)
				last := time.Duration(0)
				opt := sim.Options{Seed: seed, Progress: func(at time.Duration) bool {
					simulated.Add(int64(max(0, at) - last))
					last = max(0, at)
					return stop.Err() == nil
				}}
				if f.html != "" && j.seed == 0 {
					opt.Record = lanesMax / len(list)
				}
				if single {
					opt.Notes = func(n sim.Note) {
						if n.At >= 0 && len(notes) < notesKept {
							notes = append(notes, n)
						}
					}
				}
				r, err := sim.Run(v.sc, opt)
				finished.Add(1)
				mu.Lock()
				if err != nil && firstErr == nil {
					firstErr = fmt.Errorf("seed %d, %s: the run broke a rule: %w", seed, v.Name, err)
					cancel()
				}
				if r.Whole && err == nil {
					v.done[j.seed] = true
					for m := range metrics {
						v.value[m][j.seed] = metrics[m].Of(r)
					}
				}
				if j.seed == 0 {
					v.First = r
				}
				mu.Unlock()
			}
		})
	}
	total := int64(len(list) * f.seeds)
	quiet := a.showProgress(stop, func() string {
		d := time.Duration(simulated.Load()).Round(time.Second)
		return fmt.Sprintf("%d of %d runs done, %v simulated of %v", finished.Load(), total, d, time.Duration(total)*time.Duration(sc.Duration))
	})
feed:
	for seed := range f.seeds {
		for v := range list {
			select {
			case jobs <- simJob{v, seed}:
			case <-stop.Done():
				break feed
			}
		}
	}
	close(jobs)
	group.Wait()
	quiet()
	if firstErr != nil {
		return firstErr
	}
	for i := range report.Variants {
		v := &report.Variants[i]
		v.Metrics = map[string]sim.Statistic{}
		for m := range metrics {
			var got []float64
			for s, ok := range v.done {
				if ok {
					got = append(got, v.value[m][s])
				}
			}
			v.Runs = len(got)
			if v.Runs == 0 && v.First != nil { // it was interrupted: as far as it came
				got = append(got, metrics[m].Of(v.First))
			}
			v.Metrics[metrics[m].Key] = sim.Statistics(got)
		}
		report.Whole = report.Whole && v.Runs == f.seeds
	}
	if err := a.emit(report, func(w io.Writer) { a.drawSimulation(w, &report, notes, f) }); err != nil {
		return err
	}
	if f.html != "" { // the figures are out, should the disk be full
		if err := writeSimHTML(f.html, &report); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// showProgress writes a line about a long run to a terminal, again and again, until the function it returns is called.
func (a *app) showProgress(ctx context.Context, line func() string) (stop func()) {
	if !a.errTTY {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		shown := false
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(a.err, "\r\x1b[K%s", line())
				shown = true
			case <-ctx.Done():
				if shown {
					fmt.Fprint(a.err, "\r\x1b[K")
				}
				return
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

func (a *app) drawSimulation(w io.Writer, r *simReport, notes []sim.Note, f *simulateFlags) {
	a.title(w, "%s", r.Scenario)
	for _, line := range wrapText(printable(r.About), 110) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	if !r.Whole {
		fmt.Fprintf(w, "Interrupted: this is what was done by then.\n\n")
	}
	if len(notes) > 0 {
		a.printTimeline(w, notes, f.timeline)
		fmt.Fprintln(w)
	}
	if f.seeds > 1 {
		a.drawSpread(w, r)
		return
	}
	a.drawSideBySide(w, r, func(v *simVariant, m sim.Metric) (float64, bool) {
		if v.First == nil {
			return 0, false
		}
		return m.Of(v.First), true
	})
	for _, v := range r.Variants {
		if v.First == nil {
			continue
		}
		of := ""
		if len(r.Variants) > 1 {
			of = "  (" + printable(v.Name) + ")"
		}
		fmt.Fprintf(w, "seed %d, %s simulated, trace %s%s\n", v.First.Seed, howFar(&v), v.First.Hash, of)
		for _, unmet := range v.First.Unmet {
			fmt.Fprintf(w, "        %q never happened, and so the event that waits for it did not%s\n", unmet, of)
		}
	}
}

// howFar is how much of its time the first run of a variant has simulated.
func howFar(v *simVariant) string {
	if v.First.Whole {
		return fmt.Sprint(v.First.Time)
	}
	return fmt.Sprintf("%v of %v", v.First.Time.Round(time.Millisecond), time.Duration(v.sc.Duration))
}

// drawSideBySide prints one figure of each metric for each variant; not ok for one that there is none of.
func (a *app) drawSideBySide(w io.Writer, r *simReport, of func(v *simVariant, m sim.Metric) (figure float64, ok bool)) {
	titles := []string{""}
	for _, v := range r.Variants {
		titles = append(titles, ">"+printable(v.Name))
	}
	t := newTable(append(titles, "unit")...)
	for _, m := range sim.Metrics() {
		cells := []any{m.Title}
		for i := range r.Variants {
			if v, ok := of(&r.Variants[i], m); ok {
				cells = append(cells, figure(v))
			} else {
				cells = append(cells, nil)
			}
		}
		t.row(append(cells, cmp.Or(m.Unit, " "))...)
	}
	t.draw(w, a.paint)
	fmt.Fprintln(w)
}

// drawSpread prints each metric over all seeds.
func (a *app) drawSpread(w io.Writer, r *simReport) {
	if len(r.Variants) > 1 {
		a.title(w, "means")
		a.drawSideBySide(w, r, func(v *simVariant, m sim.Metric) (float64, bool) {
			return v.Metrics[m.Key].Mean, v.First != nil || v.Runs > 0
		})
	}
	for _, v := range r.Variants {
		if len(r.Variants) > 1 {
			a.title(w, "%s", v.Name)
		}
		if v.Runs == 0 && v.First == nil {
			fmt.Fprintf(w, "no run was begun\n\n")
			continue
		}
		t := newTable("", ">mean", ">p50", ">p99", ">min", ">max", ">deviation", "unit")
		for _, m := range sim.Metrics() {
			s := v.Metrics[m.Key]
			t.row(m.Title, figure(s.Mean), figure(s.P50), figure(s.P99), figure(s.Min), figure(s.Max), figure(s.Deviation), cmp.Or(m.Unit, " "))
		}
		t.draw(w, a.paint)
		if v.Runs == 0 {
			fmt.Fprintf(w, "no run was finished; this is seed %d, %s simulated\n\n", v.First.Seed, howFar(&v))
			continue
		}
		of := ""
		if v.Runs < r.Seeds {
			of = fmt.Sprintf(" of %d", r.Seeds)
		}
		fmt.Fprintf(w, "%d%s runs, seeds %d to %d\n\n", v.Runs, of, r.Seed, r.Seed+uint64(r.Seeds)-1)
	}
}

func writeSimHTML(file string, r *simReport) error {
	page := sim.Page{Name: r.Scenario, About: r.About}
	if r.Seeds > 1 {
		page.Of = fmt.Sprintf("The table has means over seeds %d to %d, the pictures are of seed %d.", r.Seed, r.Seed+uint64(r.Seeds)-1, r.Seed)
	}
	if !r.Whole {
		page.Of = strings.TrimSpace("Interrupted: this is what was done by then. " + page.Of)
	}
	for i := range r.Variants {
		v := &r.Variants[i]
		if v.First == nil {
			continue
		}
		run := sim.PageRun{Name: v.Name, Result: v.First}
		if r.Seeds > 1 && v.Runs > 0 {
			run.Means = map[string]float64{}
			for key, m := range v.Metrics {
				run.Means[key] = m.Mean
			}
		}
		if !v.First.Whole {
			run.Name += ", " + howFar(v)
		}
		page.Runs = append(page.Runs, run)
	}
	text, err := sim.HTML(page)
	if err != nil {
		return wrap(err, "drawing the report")
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return wrap(err, "writing the report")
	}
	return nil
}
