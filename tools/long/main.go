// Command long runs what takes longer than CI may: hundreds of kills, thousands of power cuts, every client beside Apache Kafka. It works
// row by row and keeps each row in bench/long.jsonl with its command, commit and outcome; a row that passed is not run again until
// its command changes or -again asks for it, so that a run may be interrupted at any time.
//
//	go run ./tools/long            what is missing
//	go run ./tools/long -list      the rows and where they stand
//	go run ./tools/long -only kill rows whose name contains "kill"
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// row is one piece of work. Its command runs in the repository's root, through sh.
type row struct {
	name, command string
}

// rows are the long runs. Big numbers are cut into pieces of some minutes.
func rows() []row {
	var out []row
	for i := range 20 {
		out = append(out, row{fmt.Sprintf("powercut %05d-%05d", i*500, i*500+499),
			fmt.Sprintf("POWERCUT_START=%d POWERCUT_SEEDS=500 go test ./internal/storage -count=1 -timeout 30m -run '^TestPowerCut$' -v", i*500)})
	}
	for i := range 20 {
		out = append(out, row{fmt.Sprintf("kill %03d-%03d", i*10, i*10+9), fmt.Sprintf("cd interop && go run ./kill -n 10 -seed %d", 1000+i)})
	}
	for i := range 10 {
		out = append(out, row{fmt.Sprintf("random groups in virtual time %05d-%05d", i*2000, i*2000+1999),
			fmt.Sprintf("SIM_START=%d SIM_RUNS=2000 go test ./internal/sim -count=1 -timeout 60m -run '^TestTorture$' -v", i*2000)})
	}
	for _, property := range []string{"NothingCanBeSaved", "NothingOfTheInputIsChanged", "EveryPlanIsValidAndDoesNotDependOnOrder", "NothingMovesWhenNothingChanged",
		"GrowthMovesNothing", "CooperativeGroupsAreQuietAfterTwoRounds", "EqualSubscriptionsMeetTheClosedForm", "NamesAreOrderedAsJavaOrdersThem",
		"WhereNamesLieDoesNotMatter", "ServerAssignorsAnswerAsTheirClientSideTwins", "SimpleServesEverybodyAndEveryPartition", "SteadyGroupsGetThePlanOfAnyGroup"} {
		out = append(out, row{"assignors, 100,000 groups: " + property,
			fmt.Sprintf("go test ./assign -count=1 -timeout 60m -run '^Test%s$' -rapid.checks=100000 -v", property)})
	}
	return append(out,
		row{"assignors, 20,000 groups against the oracle", "BARNABAS_ASSIGN_INSTANCES=20000 go test ./assign -count=1 -timeout 60m -run NoPlan -v"},
		row{"scenarios against paper, 1,000 seeds", "SIM_SEEDS=1000 go test ./internal/sim -count=1 -timeout 60m"},
		row{"power-cut scripts, cut before every operation", "POWERCUT_SEEDS=1500 go test ./internal/storage -count=1 -timeout 30m -run '^TestPowerCutScripts' -v"},
		row{"mutation of every sync", "MUTATION=1 go test ./internal/storage -count=1 -timeout 60m -run Mutation -v"},
		row{"wire-diff", "cd interop && go run ./wirediff"},
		row{"2,000 random walks of groups beside Apache Kafka", "cd interop && go run ./groupwalk -walks 2000"},
		row{"clients on Barnabas", "cd interop && ./install.sh && INTEROP_BROKER=barnabas CGO_ENABLED=1 go test ./clients -count=1 -timeout 30m"},
		row{"clients on Apache Kafka", "cd interop && ./install.sh && INTEROP_BROKER=kafka CGO_ENABLED=1 go test ./clients -count=1 -timeout 30m"},
		row{"consumer groups on Apache Kafka", groups("kafka")},
		row{"consumer groups on Barnabas, and side by side", groups("barnabas") + " && go run ./groupsdoc -rows ../tmp/groups"},
		row{"the cause matrix, on both brokers", "cd interop && ./install.sh && CGO_ENABLED=1 go run ./explainmatrix"},
		row{"held heartbeats in ten quiet minutes", "cd interop && ./install.sh old && INTEROP_NOTICE=../../tmp/notice INTEROP_MINUTES=10 CGO_ENABLED=1 go test ./groups -count=1 -timeout 30m -run TestNoticeInPeace && " +
			"go run ./groupsdoc -notice ../tmp/notice"},
		row{"held heartbeats, measured", "cd interop && ./install.sh old && INTEROP_NOTICE=../../tmp/notice CGO_ENABLED=1 go test ./groups -count=1 -timeout 60m -run 'TestNotice(Of|Given)' && go run ./groupsdoc -notice ../tmp/notice"},
	)
}

// groups is every client in every scenario on one broker; the rows of the table that docs/interop.md has of it stay in tmp/groups, where the
// row that puts both brokers side by side needs those of the other one.
func groups(broker string) string {
	return "cd interop && ./install.sh && INTEROP_BROKER=" + broker + " INTEROP_GROUPS=all INTEROP_KEEP=../../tmp/groups CGO_ENABLED=1 go test ./groups -count=1 -timeout 40m"
}

// outcome is a line of bench/long.jsonl.
type outcome struct {
	Row     string  `json:"row"`
	Command string  `json:"command"`
	Commit  string  `json:"commit"`
	Date    string  `json:"date"`
	Machine string  `json:"machine"`
	Passed  bool    `json:"passed"`
	Seconds float64 `json:"seconds"`
	// Said is the last lines the command printed that tell something.
	Said string `json:"said"`
}

const (
	kept    = "bench/long.jsonl"
	outputs = "tmp/long" // of rows that failed, whole; not kept in the repository
)

func main() {
	list := flag.Bool("list", false, "list the rows and where they stand")
	only := flag.String("only", "", "only rows whose name contains this")
	again := flag.Bool("again", false, "also rows that have passed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *list, *only, *again); err != nil {
		fmt.Fprintln(os.Stderr, "long:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, list bool, only string, again bool) error {
	done, err := load()
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range rows() {
		if !strings.Contains(r.name, only) {
			continue
		}
		last, ok := done[r.name]
		passed := ok && last.Passed && last.Command == r.command
		if list {
			state := "not run"
			if ok {
				state = fmt.Sprintf("passed=%v at %.10s in %.0f s: %s", last.Passed, last.Commit, last.Seconds, last.Said)
			}
			fmt.Printf("%-28s %s\n", r.name, state)
			continue
		}
		if passed && !again {
			continue
		}
		o := work(ctx, r)
		if ctx.Err() != nil {
			return errors.New("interrupted; run it again to go on")
		}
		fmt.Printf("%-28s passed=%v %.0f s  %s\n", r.name, o.Passed, o.Seconds, o.Said)
		if !o.Passed {
			failed++
		}
		if err := keep(o); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d rows failed", failed)
	}
	return nil
}

func work(ctx context.Context, r row) outcome {
	began := time.Now()
	cmd := exec.CommandContext(ctx, "sh", "-c", r.command)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	said := lastWords(out.String())
	if err != nil {
		file := filepath.Join(outputs, strings.Map(plain, strings.ToLower(r.name))+".txt")
		if err := errors.Join(os.MkdirAll(outputs, 0o755), os.WriteFile(file, out.Bytes(), 0o644)); err != nil {
			fmt.Fprintln(os.Stderr, "long:", err)
		}
		fmt.Fprintf(os.Stderr, "long: %s: %v; all that it said is in %s\n", r.name, err, file)
		said = failed(out.String(), said)
	}
	return outcome{Row: r.name, Command: r.command, Commit: commit(), Date: began.UTC().Format(time.RFC3339),
		Machine: fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Passed: err == nil, Seconds: time.Since(began).Round(time.Second).Seconds(), Said: said}
}

// lastWords are the last lines, three at most, that are more than go test's own closing.
func lastWords(s string) string {
	var words []string
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := len(lines) - 1; i >= 0 && len(words) < 3; i-- {
		l := strings.TrimSpace(lines[i])
		if l != "" && l != "PASS" && !strings.HasPrefix(l, "ok ") && !strings.HasPrefix(l, "--- PASS") && !strings.HasPrefix(l, "=== RUN") {
			words = append([]string{l}, words...)
		}
	}
	return strings.Join(words, " | ")
}

// failed are the tests that go test says have failed, at most eight, and the last words if there are none.
func failed(s, last string) string {
	var tests []string
	for line := range strings.Lines(s) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok && len(tests) < 8 {
			tests = append(tests, name)
		}
	}
	if tests == nil {
		return last
	}
	return "failed: " + strings.Join(tests, " | ")
}

// plain is a letter of a file's name.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	id := strings.TrimSpace(string(out))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no", "--", ".", ":!"+kept).Output(); err == nil && len(bytes.TrimSpace(changed)) > 0 {
		id += "+changes"
	}
	return id
}

func load() (map[string]outcome, error) {
	done := map[string]outcome{}
	text, err := os.ReadFile(kept)
	if errors.Is(err, os.ErrNotExist) {
		return done, nil
	}
	if err != nil {
		return nil, err
	}
	for n, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", kept, n+1, err)
		}
		done[o.Row] = o // the last line of a row counts
	}
	return done, nil
}

func keep(o outcome) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(kept, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
