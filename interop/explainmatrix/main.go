// Command explainmatrix makes every cause of a rebalance happen with real clients, and sees what `barnabas explain` calls it.
//
//	go run ./explainmatrix                          every cause on Barnabas, then on Apache Kafka
//	go run ./explainmatrix -brokers barnabas -causes C02,C06
//	go run ./explainmatrix -docs ../docs/explain.md  writes the table into the document
//
// Groups, topics and clients have random names, and what was done to which group goes into a file of its own: explain is given a group's name and
// nothing else. Apache Kafka is asked twice: by its topic alone, which holds neither reasons nor the time between heartbeats, and with the
// broker's own log. On Barnabas every cause must be named right. On Apache Kafka none may be named wrong, and what is not known must say which fact is
// missing; with the broker's log nine of ten must be right.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
)

func main() {
	if os.Getenv(groups.MemberVariable) != "" { // some causes need consumers that can be killed
		os.Exit(groups.MemberMain())
	}
	brokers := flag.String("brokers", "barnabas,kafka", "which brokers")
	only := flag.String("causes", "", "only these, such as C02,C06; empty: all")
	docs := flag.String("docs", "", "write the table into this document, between its marks")
	keep := flag.String("truth", "", "keep the file that says what was done to which group, and Apache Kafka's log, under this name")
	parallel := flag.Int("parallel", 4, "cases at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 25*time.Minute)
	defer cancel()
	var all []column
	var failed error
	for _, kind := range strings.Split(*brokers, ",") {
		columns, err := run(ctx, rig.Kind(kind), *only, *keep, *parallel)
		all = append(all, columns...)
		failed = errors.Join(failed, err)
	}
	fmt.Print(table(all))
	if *docs != "" {
		failed = errors.Join(failed, writeInto(*docs, table(all)))
	}
	if err := errors.Join(failed, judge(all, *only == "")); err != nil {
		fmt.Fprintln(os.Stderr, "explainmatrix:", err)
		os.Exit(1)
	}
}

// truth is what was done to a group.
type truth struct {
	Name  string    `json:"name"` // of the case
	Cause string    `json:"cause"`
	Who   string    `json:"who"` // the client that did it, "" for nobody
	Group string    `json:"group"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Quiet says that it is no rebalance: on Barnabas the group's generation must not change. Apache Kafka takes seconds to start, in which members
	// may find reasons of their own.
	Quiet bool `json:"quiet"`
}

// column is one broker asked in one way.
type column struct {
	title  string
	rule   rule
	answer map[string]answer // by case
	order  []truth
}

// rule is what a column is held to.
type rule struct {
	rightShare float64 // of all cases
	quiet      bool    // what is no rebalance must not be one
}

// answer is what explain said of one case.
type answer struct {
	cause, or, confidence, who string
	missing                    bool // it says what it does not know
	detail                     string
}

func (a answer) verdict(t truth) string {
	switch {
	case a.cause == t.Cause || a.or == t.Cause && a.or != "":
		if t.Who != "" && a.who != "" && a.who != t.Who {
			return "wrong"
		}
		return "right"
	case a.cause == "":
		return "unknown"
	}
	return "wrong"
}

// run makes the cases happen on one broker, and then asks.
func run(ctx context.Context, kind rig.Kind, only, keep string, parallel int) ([]column, error) {
	properties := map[string]string{"group.initial.rebalance.delay.ms": "500", "offsets.topic.num.partitions": "4", "offsets.topic.replication.factor": "1", "group.max.size": "6"}
	dir, err := os.MkdirTemp("", "explainmatrix-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if kind == rig.Kafka {
		properties["log.dirs"] = filepath.Join(dir, "data") + "," + filepath.Join(dir, "data-2") // so that replicas have somewhere to go
	}
	b, err := rig.Start(ctx, kind, rig.Options{Dir: dir, Properties: properties})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var chosen []scenario
	for _, c := range scenarios() {
		if c.only != "" && c.only != kind {
			continue
		}
		if only == "" || slices.Contains(strings.Split(only, ","), c.cause) {
			chosen = append(chosen, c)
		}
	}
	truths := make([]truth, len(chosen))
	errs := make([]error, len(chosen))
	play := func(i int) {
		began := time.Now()
		truths[i], errs[i] = chosen[i].play(ctx, b)
		fmt.Fprintf(os.Stderr, "explainmatrix: %-9s %s %-44s %5.1f s %v\n", kind, chosen[i].cause, chosen[i].name, time.Since(began).Seconds(), orOK(errs[i]))
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range chosen {
		if chosen[i].alone {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			play(i)
		})
	}
	wg.Wait()
	for i := range chosen { // what disturbs the whole broker comes last
		if chosen[i].alone {
			play(i)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: a case could not be made to happen: %w", kind, err)
	}
	if keep != "" {
		text, _ := json.MarshalIndent(truths, "", "  ")
		if err := os.WriteFile(keep+"."+string(kind)+".json", text, 0o644); err != nil {
			return nil, err
		}
	}
	if kind == rig.Barnabas {
		c, err := ask(ctx, b, "Barnabas", rule{1, true}, truths)
		return []column{c}, err
	}
	log := filepath.Join(b.Dir, "broker.log")
	if keep != "" {
		log = keep + ".kafka.log"
	}
	if err := os.WriteFile(log, []byte(b.LogFull()), 0o644); err != nil {
		return nil, err
	}
	plain, err := ask(ctx, b, "Apache Kafka", rule{0, false}, truths)
	if err != nil {
		return nil, err
	}
	with, err := ask(ctx, b, "Apache Kafka and its log", rule{0.9, false}, truths, "--broker-log", log)
	return []column{plain, with}, err
}

func orOK(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

// table is what was made beside what was named, in Markdown.
func table(all []column) string {
	var b strings.Builder
	b.WriteString("| Cause made to happen | How |")
	for _, c := range all {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(all)) + "\n")
	if len(all) == 0 {
		return b.String()
	}
	var order []truth // of each case one, in the order of the cases
	for _, s := range scenarios() {
		for _, c := range all {
			if t := c.truth(s.name); t.Name != "" {
				order = append(order, t)
				break
			}
		}
	}
	for _, t := range order {
		fmt.Fprintf(&b, "| %s | %s |", t.Cause, t.Name)
		for _, c := range all {
			t := c.truth(t.Name) // each broker's clients had names of their own
			a, ok := c.answer[t.Name]
			if !ok {
				b.WriteString(" - |")
				continue
			}
			text := a.cause
			if text == "" {
				text = "unknown"
			}
			if a.or != "" {
				text += " or " + a.or
			}
			if a.confidence != "" {
				text += ", " + a.confidence
			}
			if v := a.verdict(t); v == "wrong" {
				text = "**wrong**: " + text
			}
			fmt.Fprintf(&b, " %s |", text)
		}
		b.WriteString("\n")
	}
	for _, c := range all {
		right, unknown, wrong := c.count()
		fmt.Fprintf(&b, "\n%s: %d right, %d unknown, %d wrong, of %d.", c.title, right, unknown, wrong, len(c.order))
	}
	b.WriteString("\n")
	return b.String()
}

func (c column) truth(name string) truth {
	for _, t := range c.order {
		if t.Name == name {
			return t
		}
	}
	return truth{}
}

func (c column) count() (right, unknown, wrong int) {
	for _, t := range c.order {
		switch c.answer[t.Name].verdict(t) {
		case "right":
			right++
		case "unknown":
			unknown++
		default:
			wrong++
		}
	}
	return right, unknown, wrong
}

// judge holds every column to its rule. A part of the cases proves no share.
func judge(all []column, whole bool) (failed error) {
	for _, c := range all {
		right, _, wrong := c.count()
		for _, t := range c.order {
			a := c.answer[t.Name]
			switch a.verdict(t) {
			case "right":
				if c.rule.rightShare == 1 && (a.or != "" || a.confidence != "measured" && a.confidence != "inferred" && t.Cause != nothing) {
					failed = errors.Join(failed, fmt.Errorf("%s: %s (%s) was named right, and not surely (%s): %s", c.title, t.Name, t.Cause, a.confidence, a.detail))
				}
			case "wrong":
				failed = errors.Join(failed, fmt.Errorf("%s: %s (%s by %s) was called %s by %s: %s", c.title, t.Name, t.Cause, t.Who, a.cause, a.who, a.detail))
			case "unknown":
				if !a.missing {
					failed = errors.Join(failed, fmt.Errorf("%s: %s (%s) is unknown, and nothing says which fact is missing: %s", c.title, t.Name, t.Cause, a.detail))
				}
				if c.rule.rightShare == 1 {
					failed = errors.Join(failed, fmt.Errorf("%s: %s (%s) is unknown: %s", c.title, t.Name, t.Cause, a.detail))
				}
			}
		}
		if whole && wrong == 0 && float64(right) < c.rule.rightShare*float64(len(c.order)) {
			failed = errors.Join(failed, fmt.Errorf("%s: %d of %d right, want %.0f%%", c.title, right, len(c.order), 100*c.rule.rightShare))
		}
	}
	return failed
}

// Marks around the table in the document.
const (
	markBegin = "<!-- matrix: written by `make explain-matrix` -->"
	markEnd   = "<!-- end of the matrix -->"
)

func writeInto(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), markBegin)
	_, after, ok2 := strings.Cut(rest, markEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %q ... %q", path, markBegin, markEnd)
	}
	return os.WriteFile(path, []byte(before+markBegin+"\n\n"+text+"\n"+markEnd+after), 0o644)
}
