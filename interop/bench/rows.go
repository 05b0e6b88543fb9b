package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

type promise string

const (
	pageCache promise = "page cache"
	fsync     promise = "fsync"
)

// block is what one start of a broker is used for.
type block struct {
	promise promise
	rows    []row
	turns   bool // the brokers and a bare program take turns in each row
}

// row is one line of a table, measured on one broker after the other.
type row struct {
	name, group string
	args        []string // of barnabas bench; the first is its kind
	probe       func(ctx context.Context, t target) (map[string]float64, error)
	probeWhat   string
	alone       bool       // has no counterpart on Kafka
	own         bool       // starts its brokers itself
	fill        int        // records to write before a consume row
	floor       [][]string // the bare programs of a row of turns, with their flags
}

// target is the broker a probe looks at.
type target struct {
	o      options
	kind   rig.Kind
	binary string
	broker *rig.Broker // nil for rows that start their own
}

func (r row) command() string {
	if r.probe != nil {
		return r.probeWhat
	}
	if r.fill > 0 { // a topic is filled first; the consumer's own flags know no sizes
		return fmt.Sprintf("barnabas bench produce --topic load --keep-topic --records %d --duration 0 --warmup 0s %s; barnabas bench consume --topic load",
			r.fill, strings.Join(r.args[1:], " "))
	}
	command := "barnabas bench " + strings.Join(r.args, " ")
	for _, argv := range r.floor {
		command += "; go run " + strings.Join(argv, " ")
	}
	return command
}

// plan lists every row. Names are file names too.
func plan(o options) []block {
	d := o.duration.String()
	produce := func(p promise, bytes, partitions int, acks, codec string) row {
		name := fmt.Sprintf("produce, %s, %d B, acks=%s, %d partitions", p, bytes, acks, partitions)
		if codec != "none" {
			name += ", " + codec
		}
		args := []string{"produce", "--duration", d, "--record-bytes", strconv.Itoa(bytes), "--partitions", strconv.Itoa(partitions), "--acks", acks, "--codec", codec}
		if partitions > 12 { // one request to many partitions, as clients do it
			args = append(args, "--partitions-per-request", strconv.Itoa(min(partitions, 50)))
		}
		return row{name: name, group: "produce", args: args}
	}
	consume := func(bytes, partitions, records int, codec string) row {
		name := fmt.Sprintf("consume, %d B, %d partitions", bytes, partitions)
		if codec != "none" {
			name += ", " + codec
		}
		return row{name: name, group: "consume", fill: records,
			args: []string{"consume", "--record-bytes", strconv.Itoa(bytes), "--partitions", strconv.Itoa(partitions), "--codec", codec}}
	}
	latency := func(p promise, rate, partitions int) row {
		return row{name: fmt.Sprintf("latency, %s, %d records/s, %d partitions", p, rate, partitions), group: "latency",
			args: []string{"latency", "--duration", d, "--rate", strconv.Itoa(rate), "--partitions", strconv.Itoa(partitions), "--acks", "all"}}
	}
	cache, disk, probes := block{promise: pageCache}, block{promise: fsync}, block{promise: pageCache}
	sizes, parts, acks := []int{100, 1024, 16384}, []int{1, 12, 50, 1000}, []string{"1", "all"}
	if o.quick {
		sizes, parts, acks = []int{1024}, []int{1, 12}, []string{"all"}
	}
	for _, size := range sizes {
		for _, n := range parts {
			for _, a := range acks {
				cache.rows = append(cache.rows, produce(pageCache, size, n, a, "none"))
				if a == "all" && size != 100 {
					disk.rows = append(disk.rows, produce(fsync, size, n, a, "none"))
				}
			}
		}
	}
	if !o.quick {
		for _, codec := range []string{"lz4", "zstd", "snappy", "gzip"} {
			cache.rows = append(cache.rows, produce(pageCache, 1024, 12, "all", codec))
		}
		cache.rows = append(cache.rows, consume(100, 1, 10_000_000, "none"), consume(16384, 1, 100_000, "none"), consume(1024, 50, 1_500_000, "none"),
			consume(1024, 12, 1_500_000, "lz4"))
		cache.rows = append(cache.rows, latency(pageCache, 1000, 12), latency(pageCache, 10000, 12))
		disk.rows = append(disk.rows, latency(fsync, 1000, 12))
	}
	cache.rows = append(cache.rows, consume(1024, 1, 1_500_000, "none"), latency(pageCache, 1000, 1))
	disk.rows = append(disk.rows, latency(fsync, 1000, 1))
	probes.rows = slices.Concat(probeRows(o), groupRows(o), noticeRows(o))
	return append([]block{cache, disk, probes}, turnRows(o, produce)...)
}

func properties(kind rig.Kind, p promise) map[string]string {
	props := map[string]string{"log.segment.delete.delay.ms": "1000", "log.retention.check.interval.ms": "600000"}
	switch {
	case kind == rig.Barnabas && p == pageCache:
		props["log.flush"] = "never"
	case kind == rig.Kafka && p == fsync:
		props["log.flush.interval.messages"] = "1"
	}
	return props
}

// measureInOrder takes the repetitions of all rows, on one broker after the other.
func measureInOrder(ctx context.Context, o options, binary string, b block, rows []row, results map[string]*kept) error {
	var failed []error
	for rep := range o.repeat {
		for _, kind := range o.brokers {
			if err := measureBlock(ctx, o, binary, kind, b, rows, rep, results); err != nil {
				if ctx.Err() != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "bench: %s: %v\n", kind, err)
				failed = append(failed, err)
			}
		}
	}
	return errors.Join(failed...)
}

// measureBlock starts one broker and takes one repetition of each row on it.
func measureBlock(ctx context.Context, o options, binary string, kind rig.Kind, b block, rows []row, rep int, results map[string]*kept) error {
	var broker *rig.Broker
	for _, r := range rows {
		if r.alone && kind != rig.Barnabas {
			continue
		}
		if broker == nil && !r.own {
			var err error
			if broker, err = rig.Start(ctx, kind, rig.Options{Properties: properties(kind, b.promise), CPUs: o.cpus}); err != nil {
				return err
			}
			defer broker.Close()
			if err := warm(ctx, o, binary, broker); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "bench: %-9s %d/%d  %s\n", kind, rep+1, o.repeat, r.name)
		if r.group == "produce" || r.group == "consume" || r.group == "latency" {
			if err := settle(ctx, o, r, map[rig.Kind]*rig.Broker{kind: broker}); err != nil {
				return err
			}
		}
		if broker != nil {
			resetPeak(broker.PID())
		}
		s, err := measureRow(ctx, target{o, kind, binary, broker}, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		k := results[r.name]
		k.Values[string(kind)] = append(k.Values[string(kind)], s)
	}
	return nil
}

// warm lets a virtual machine compile what it will need, to write and to read: without it the first rows of each kind would measure the compiler.
func warm(ctx context.Context, o options, binary string, b *rig.Broker) error {
	seconds := "1s"
	if b.Kind == rig.Kafka {
		seconds = "10s"
		if o.quick {
			seconds = "4s"
		}
	}
	topic := fmt.Sprintf("warm-%d", time.Now().UnixNano())
	defer exec.Command(binary, "topics", "delete", topic, "--yes", "--bootstrap", b.Addr).Run()
	for _, args := range [][]string{
		{"produce", "--topic", topic, "--keep-topic", "--duration", seconds, "--partitions", "12", "--record-bytes", "512"},
		{"consume", "--topic", topic, "--repeat", "--duration", seconds},
	} {
		if _, err := benchCommand(ctx, binary, b, args); err != nil {
			return err
		}
	}
	return nil
}

func resetPeak(pid int) { // where the kernel does not allow it, the peak is that of the broker's whole life
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

func measureRow(ctx context.Context, t target, r row) (sampleJSON, error) {
	if r.probe != nil {
		values, err := r.probe(ctx, t)
		return sampleJSON{Values: values}, err
	}
	args := r.args
	if r.fill > 0 {
		topic := fmt.Sprintf("fill-%d", time.Now().UnixNano())
		// The same size, partitions and codec as what is read; the consumer's own flags know no codec.
		var partitions, size, codec string
		for i := 1; i+1 < len(r.args); i += 2 {
			switch r.args[i] {
			case "--partitions":
				partitions = r.args[i+1]
			case "--record-bytes":
				size = r.args[i+1]
			case "--codec":
				codec = r.args[i+1]
			}
		}
		if _, err := benchCommand(ctx, t.binary, t.broker, []string{"produce", "--topic", topic, "--keep-topic", "--records", strconv.Itoa(r.fill), "--duration", "0",
			"--warmup", "0s", "--partitions", partitions, "--record-bytes", size, "--codec", codec}); err != nil {
			return sampleJSON{}, fmt.Errorf("fill: %w", err)
		}
		defer exec.Command(t.binary, "topics", "delete", topic, "--yes", "--bootstrap", t.broker.Addr).Run()
		args = []string{"consume", "--topic", topic, "--keep-topic"}
	}
	raw, err := benchCommand(ctx, t.binary, t.broker, args)
	if err != nil {
		return sampleJSON{}, err
	}
	var full struct {
		RecordsPerSecond   float64             `json:"records_per_second"`
		MegabytesPerSecond float64             `json:"megabytes_per_second"`
		Latency            map[string]*float64 `json:"latency_ms"`
		ClientCPU          float64             `json:"client_cpu_seconds"`
		Bytes              float64             `json:"bytes"`
		FirstRecord        *float64            `json:"first_record_ms"`
		Broker             *struct {
			CPUMsPerMB     *float64 `json:"cpu_ms_per_mb"`
			CPUUsPerRecord *float64 `json:"cpu_us_per_record"`
			Peak           *float64 `json:"rss_peak_mib"`
		} `json:"broker"`
	}
	if err := json.Unmarshal(raw, &full); err != nil {
		return sampleJSON{}, fmt.Errorf("barnabas bench printed %.200s: %w", raw, err)
	}
	values := map[string]float64{"records/s": full.RecordsPerSecond, "MB/s": full.MegabytesPerSecond}
	for _, p := range []string{"p50", "p99", "p999"} {
		if v := full.Latency[p]; v != nil {
			values[p+" ms"] = *v
		}
	}
	if full.Bytes > 0 {
		values["driver CPU ms/MB"] = full.ClientCPU * 1e3 / (full.Bytes / 1e6)
	}
	if b := full.Broker; b != nil {
		for name, v := range map[string]*float64{"CPU ms/MB": b.CPUMsPerMB, "CPU us/record": b.CPUUsPerRecord, "peak MiB": b.Peak} {
			if v != nil {
				values[name] = *v
			}
		}
	}
	return sampleJSON{Values: values, Raw: raw}, nil
}

func benchCommand(ctx context.Context, binary string, b *rig.Broker, args []string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	argv := append([]string{"bench"}, args...)
	argv = append(argv, "--bootstrap", b.Addr, "--broker-pid", strconv.Itoa(b.PID()), "-o", "json")
	cmd := exec.CommandContext(ctx, binary, argv...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("barnabas %s: %w: %s %.300s", strings.Join(argv, " "), err, strings.TrimSpace(problems.String()), out.String())
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
