// Command groupstool runs every action of kafka-consumer-groups.sh against Apache Kafka and against Barnabas, on the same groups made by the
// same clients, and prints what differs after blanking nothing but the random part of member ids, addresses and node ids.
//
// It is a workbench of the test beside it: `go run ./groupstool` shows the differences, -v the whole transcripts, and -pair kafka,kafka
// compares Kafka with itself, which proves that the blanking hides enough.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

func main() {
	pair := flag.String("pair", "kafka,barnabas", "the two brokers")
	verbose := flag.Bool("v", false, "print both transcripts, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := show(ctx, *pair, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "groupstool:", err)
		os.Exit(1)
	}
}

func show(ctx context.Context, pair string, verbose bool) error {
	first, second, ok := strings.Cut(pair, ",")
	if !ok {
		return fmt.Errorf("-pair %s: want two brokers, as kafka,barnabas", pair)
	}
	a, b, err := SideBySide(ctx, rig.Kind(first), rig.Kind(second))
	if err != nil {
		return err
	}
	if verbose {
		for i := range a.Steps {
			for _, s := range []Side{a, b} {
				fmt.Printf("=== %s, %s: %s\n%s\n", s.Name, s.Steps[i].Case.Name, strings.Join(s.Steps[i].Case.Args, " "), strings.Join(s.lines(i), "\n"))
			}
		}
	}
	differences, err := Compare(a, b)
	if err != nil {
		return err
	}
	root, err := rig.Root()
	if err != nil {
		return err
	}
	explained, err := ReadExplained(filepath.Join(root, "interop", "groupstool", "explained.txt"))
	if err != nil {
		return err
	}
	open, stale := Unexplained(differences, explained)
	for _, d := range open {
		fmt.Println(d)
	}
	for _, s := range stale {
		fmt.Println("explained, but the same:", s)
	}
	fmt.Printf("%d cases, %d lines differ, %d of them unexplained\n", len(a.Steps), len(differences), len(open))
	if len(open) > 0 {
		return fmt.Errorf("%d unexplained differences", len(open))
	}
	return nil
}

// SideBySide plays the cases on one broker after the other, so that only one of them needs memory at a time.
func SideBySide(ctx context.Context, first, second rig.Kind) (a, b Side, err error) {
	dir, err := os.MkdirTemp("", "groupstool-files-")
	if err != nil {
		return a, b, err
	}
	defer os.RemoveAll(dir)
	// One JVM for both: the sets in the tool's own messages are in an order that is another one in every JVM.
	tool, err := StartTool(ctx)
	if err != nil {
		return a, b, err
	}
	defer tool.Close()
	if a, err = play(ctx, tool, first, dir); err != nil {
		return a, b, fmt.Errorf("%s: %w", first, err)
	}
	if b, err = play(ctx, tool, second, dir); err != nil {
		return a, b, fmt.Errorf("%s: %w", second, err)
	}
	if a.Name == b.Name {
		b.Name += " again"
	}
	return a, b, nil
}

func play(ctx context.Context, tool *Tool, kind rig.Kind, dir string) (Side, error) {
	s := Side{Name: string(kind)}
	broker, err := rig.Start(ctx, kind, rig.Options{HeapMiB: 256, Properties: map[string]string{"group.initial.rebalance.delay.ms": "0", "node.id": "1"}})
	if err != nil {
		return s, err
	}
	defer broker.Close()
	w, err := NewWorld(ctx, broker, tool, dir)
	if err != nil {
		return s, err
	}
	s.Addr = broker.Addr
	if s.Steps, err = Play(ctx, w); err != nil {
		return s, err
	}
	return s, w.Close()
}

// untilStable waits for the end of a rebalance, whose length is the clients' affair.
func (w *World) untilStable(ctx context.Context, group string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.Addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		d, err := adm.DescribeGroups(ctx, group)
		if err != nil {
			return err
		}
		if d[group].State == "Stable" && len(d[group].Members) == 2 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *World) deleteTopic(ctx context.Context, topic string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.Addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	for { // a deletion is answered before everybody has heard of it
		all, err := adm.ListTopics(ctx)
		if err != nil {
			return err
		}
		if !all.Has(topic) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}
