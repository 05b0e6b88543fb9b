package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// floorName is the player beside the brokers: a bare program that does the same work to the disk, and nothing else.
const floorName = "floor"

// turnsLeast is how many turns a row has at least: its values are medians.
const turnsLeast = 5

// turnRows are produce rows in which Barnabas, Kafka and a bare program take turns on one machine in the same minutes, so that their ratio does
// not hang on what the machine was doing when each of them was measured.
func turnRows(o options, produce func(p promise, bytes, partitions int, acks, codec string) row) []block {
	partitions := []int{1, 12}
	if o.quick {
		partitions = []int{1}
	}
	var blocks []block
	for _, p := range []promise{pageCache, fsync} {
		b := block{promise: p, turns: true}
		for _, n := range partitions {
			r := produce(p, 1024, n, "all", "none")
			r.name, r.group, r.floor = strings.Replace(r.name, "produce", "in turns", 1), "in turns", floorBeside(p, n, o.duration)
			b.rows = append(b.rows, r)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// floorBeside is the bare programs beside a row: the one whose throughput counts is the first, the one whose CPU counts the last.
func floorBeside(p promise, files int, d time.Duration) [][]string {
	flags := []string{"-files", strconv.Itoa(files), "-duration", d.String()}
	if p == fsync {
		return [][]string{append([]string{"./bench/floor"}, flags...), append([]string{"./bench/receive", "-flush"}, flags...)}
	}
	return [][]string{append([]string{"./bench/receive"}, flags...)}
}

// measureTurns starts the brokers, and lets them and the floor take turns. All brokers run all the time; who has no turn idles.
func measureTurns(ctx context.Context, o options, binary string, b block, rows []row, results map[string]*kept) error {
	programs, err := os.MkdirTemp("", "floor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	brokers := map[rig.Kind]*rig.Broker{}
	for _, kind := range o.brokers {
		if brokers[kind], err = rig.Start(ctx, kind, rig.Options{Properties: properties(kind, b.promise), CPUs: o.cpus}); err != nil {
			return err
		}
		defer brokers[kind].Close()
		if err := warm(ctx, o, binary, brokers[kind]); err != nil {
			return err
		}
	}
	turns := max(o.repeat, turnsLeast)
	if o.quick {
		turns = 1
	}
	for _, r := range rows {
		players := append(slices.Clone(o.brokers), floorName)
		for turn := range turns {
			for _, player := range players {
				fmt.Fprintf(os.Stderr, "bench: %-9s %d/%d  %s\n", player, turn+1, turns, r.name)
				var s sampleJSON
				if player == floorName {
					s, err = floors(ctx, o, programs, brokers, r)
				} else {
					if err = settle(ctx, o, r, brokers); err == nil {
						resetPeak(brokers[player].PID())
						s, err = measureRow(ctx, target{o, player, binary, brokers[player]}, r)
					}
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", r.name, player, err)
				}
				k := results[r.name]
				k.Values[string(player)] = append(k.Values[string(player)], s)
			}
			slices.Reverse(players) // nobody always comes after the same one
		}
	}
	return nil
}

// floors runs the bare programs beside r, one after the other.
func floors(ctx context.Context, o options, programs string, brokers map[rig.Kind]*rig.Broker, r row) (sampleJSON, error) {
	values := map[string]float64{}
	for i, argv := range r.floor {
		if err := settle(ctx, o, r, brokers); err != nil {
			return sampleJSON{}, err
		}
		answer, err := bare(ctx, o, programs, argv[0], argv[1:]...)
		if err != nil {
			return sampleJSON{}, err
		}
		if i == 0 {
			values["MB/s"] = answer.MB
			for _, p := range []string{"p50", "p99"} {
				if v, ok := answer.Flush[p]; ok {
					values[p+" ms"] = v
				}
			}
		}
		if answer.CPU != nil {
			values["CPU ms/MB"] = *answer.CPU
		}
	}
	return sampleJSON{Values: values}, nil
}

type bareAnswer struct {
	MB    float64            `json:"megabytes_per_second"`
	CPU   *float64           `json:"cpu_ms_per_mb"`
	Flush map[string]float64 `json:"flush_ms"`
}

// bare runs a program of this repository on the disk that brokers' data lies on; programs is where it is kept once built.
func bare(ctx context.Context, o options, programs, pkg string, args ...string) (a bareAnswer, err error) {
	binary := filepath.Join(programs, filepath.Base(pkg))
	if _, err := os.Stat(binary); err != nil {
		build := exec.CommandContext(ctx, "go", "build", "-o", binary, pkg)
		build.Dir, build.Env = o.root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return a, fmt.Errorf("build %s: %w\n%s", pkg, err, out)
		}
	}
	out, err := exec.CommandContext(ctx, binary, append([]string{"-dir", programs}, args...)...).Output()
	if err != nil {
		return a, fmt.Errorf("%s %s: %w", pkg, strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(out, &a); err != nil {
		return a, fmt.Errorf("%s printed %.200s: %w", pkg, out, err)
	}
	return a, nil
}

// settleWithin bounds the wait for files that are on their way out.
const settleWithin = 15 * time.Second

// settle waits until what the last measurement wrote is deleted and the disk has nothing left to do, and touches the memory that the next one
// will need. Otherwise each row would pay for the one before it: freeing gigabytes of a file stops the file system for a tenth of a second,
// and a virtual machine's host takes back what the page cache let go; its first touch then costs several times what writing to it does.
func settle(ctx context.Context, o options, r row, brokers map[rig.Kind]*rig.Broker) error {
	until := time.Now().Add(settleWithin)
	for time.Now().Before(until) {
		var size int64
		for _, b := range brokers {
			size += logBytes(b.DataDir())
		}
		if size < 256<<20 {
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	need := int64(1 << 30)
	if r.group != "latency" {
		need += int64(1.5e9 * (o.duration + time.Second).Seconds())
	}
	return touch(need)
}

// logBytes is what segments take up under dir, those that wait for their deletion too.
func logBytes(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.Contains(e.Name(), ".log") {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil // a file that went away meanwhile is what we wait for
	})
	return size
}
