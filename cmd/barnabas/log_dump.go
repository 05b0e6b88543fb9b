package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

func newLogCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "Look into the files of a broker, Barnabas or Apache Kafka",
		Example: `  barnabas log dump barnabas-data/orders-0`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newLogDump(a))
	return c
}

func newLogDump(a *app) *cobra.Command {
	d := dumper{app: a}
	c := &cobra.Command{
		Use:   "dump FILE|FOLDER...",
		Short: "Show and check segments, indexes, producer snapshots and checkpoints",
		Long: `Show and check the files that hold a broker's data: segments (.log), offset, time and transaction indexes, producer snapshots, leader-epoch and
offset checkpoints, partition.metadata. A folder stands for all of those in and below it. Barnabas and Apache Kafka write the same files.

Nothing is changed and no lock is taken, so it works beside a running broker; the end of a segment being written may then look torn.

Batches are always checked against their CRC, and indexes against the segment beside them. --deep also decompresses every batch and
reads its records. It ends with 1 if something is wrong.

-o json prints one object per line, each with "file" and "kind": batch, record, index, timeindex, txnindex, producer, epoch, offset,
metadata, problem, and one summary for each file.`,
		Example: `  barnabas log dump barnabas-data/orders-0/00000000000000000000.log
  barnabas log dump barnabas-data/orders-0 --records
  barnabas log dump barnabas-data --verify --deep
  barnabas log dump /var/lib/kafka/data/orders-0/00000000000000000000.timeindex -o json`,
		Args: need(1, -1, "a file or a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.output == "yaml" {
				return usage("log dump does not print YAML", "use -o json, one object per line")
			}
			d.deep = d.deep || d.records
			if d.records && d.verify {
				return usage("--records shows everything, --verify only what is wrong", "leave one of them out")
			}
			return d.run(cmd.Context(), args)
		},
	}
	f := c.Flags()
	f.BoolVar(&d.records, "records", false, "show the records of each batch")
	f.BoolVar(&d.deep, "deep", false, "decompress every batch and check its records")
	f.BoolVar(&d.verify, "verify", false, "show only what is wrong, and a summary")
	return c
}

// dumper is one run of `log dump`.
type dumper struct {
	*app
	records, deep, verify bool
	ctx                   context.Context
	w                     *bufio.Writer
	enc                   *json.Encoder
	reader                *batch.Reader
	file                  string
	files, problems       int
	first                 string
	printed               bool // something about this file
	wroteErr              error
}

func (d *dumper) run(ctx context.Context, args []string) error {
	d.ctx = ctx
	d.w = bufio.NewWriterSize(d.out, 64<<10)
	d.enc = json.NewEncoder(d.w)
	d.enc.SetEscapeHTML(false)
	d.reader = batch.NewReader(batch.NewCodecs(batch.DefaultLimits()))
	for _, arg := range args {
		st, err := os.Stat(arg)
		if err != nil {
			return err
		}
		if !st.IsDir() {
			if !d.dump(arg) {
				return usage(arg+" is not a file of a broker's data that can be shown", "they end with .log, .index, .timeindex, .txnindex, .snapshot, -checkpoint or .metadata")
			}
			continue
		}
		before := d.files
		err = filepath.WalkDir(arg, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.Type().IsRegular() {
				d.dump(name)
			}
			return cmpErr(ctx.Err(), d.wroteErr)
		})
		if err != nil {
			return wrap(err, "walking through %s", arg)
		}
		if d.files == before {
			return failed("no file of a broker's data in "+arg, "name a log directory (log.dirs), or a folder such as orders-0 in it")
		}
	}
	if d.verify && d.output == "table" {
		fmt.Fprintf(d.w, "%d files checked, %d problems\n", d.files, d.problems)
	}
	if err := cmpErr(d.wroteErr, d.w.Flush()); err != nil {
		return err
	}
	if d.problems > 0 {
		return failed(fmt.Sprintf("%d problems in %d files; the first: %s", d.problems, d.files, d.first),
			"a broker repairs torn ends and indexes when it starts; damage inside a segment needs a replica or a backup")
	}
	return ctx.Err()
}

// cmpErr is the first error that is not nil.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// dump shows one file; false: it is none of ours.
func (d *dumper) dump(name string) bool {
	show := d.kindOf(filepath.Base(name))
	if show == nil {
		return false
	}
	d.file, d.printed = name, false
	d.files++
	if err := show(filepath.ToSlash(name)); err != nil && !errors.Is(err, context.Canceled) {
		d.problem("%v", err)
	}
	return true
}

func (d *dumper) kindOf(base string) func(string) error {
	switch {
	case strings.HasSuffix(base, ".log") && len(base) == len("00000000000000000000.log"):
		return d.segment
	case strings.HasSuffix(base, ".timeindex"):
		return d.timeIndex
	case strings.HasSuffix(base, ".txnindex"):
		return d.txnIndex
	case strings.HasSuffix(base, ".index"):
		return d.index
	case strings.HasSuffix(base, ".snapshot"):
		return d.snapshot
	case base == "leader-epoch-checkpoint":
		return d.epochs
	case strings.HasSuffix(base, "-offset-checkpoint"):
		return d.offsets
	case base == "partition.metadata":
		return d.metadata
	}
	return nil
}

// heading prints the file's name before the first thing about it.
func (d *dumper) heading() {
	if d.printed || d.output == "json" {
		return
	}
	if d.files > 1 {
		fmt.Fprintln(d.w)
	}
	d.printed = true
	d.title(d.w, "%s", d.file)
}

// line prints one JSON object; the first two names are the same in all.
func (d *dumper) line(v any) {
	if err := d.enc.Encode(v); err != nil && d.wroteErr == nil {
		d.wroteErr = err
	}
}

type dumpProblem struct {
	File    string `json:"file"`
	Kind    string `json:"kind"`
	Problem string `json:"problem"`
}

func (d *dumper) problem(format string, args ...any) {
	text := oneLine(fmt.Sprintf(format, args...))
	d.problems++
	if d.first == "" {
		d.first = d.file + ": " + text
	}
	if d.output == "json" {
		d.line(dumpProblem{d.file, "problem", text})
		return
	}
	d.heading()
	fmt.Fprintln(d.w, "PROBLEM: "+printable(text))
}

// dumpBatch is a batch as -o json shows it.
type dumpBatch struct {
	File          string `json:"file"`
	Kind          string `json:"kind"`
	Position      int64  `json:"position"`
	Size          int64  `json:"size_bytes"`
	BaseOffset    int64  `json:"base_offset"`
	LastOffset    int64  `json:"last_offset"`
	Records       int32  `json:"records"`
	LeaderEpoch   int32  `json:"leader_epoch"`
	Codec         string `json:"codec"`
	TimestampType string `json:"timestamp_type"`
	BaseTimestamp int64  `json:"base_timestamp"`
	MaxTimestamp  int64  `json:"max_timestamp"`
	ProducerID    int64  `json:"producer_id"` // -1: none
	ProducerEpoch int16  `json:"producer_epoch"`
	BaseSequence  int32  `json:"base_sequence"`
	Transactional bool   `json:"transactional"`
	Control       bool   `json:"control"`
	DeleteHorizon bool   `json:"delete_horizon"`
	CRC           uint32 `json:"crc"`
	ValidCRC      bool   `json:"valid_crc"`
}

type dumpRecord struct {
	File      string `json:"file"`
	Kind      string `json:"kind"`
	Offset    int64  `json:"offset"`
	Timestamp int64  `json:"timestamp"`
	Control   string `json:"control,omitempty"` // what a control record says
	dumpText
	Headers []dumpText `json:"headers"`
}

// dumpText is a key and value, each as text if it is some, else in base64.
type dumpText struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   []byte  `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

func newDumpText(key, value []byte) (t dumpText) {
	t.Key, t.KeyBase64 = textOrBytes(key)
	t.Value, t.ValueBase64 = textOrBytes(value)
	return t
}

func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		s := string(b)
		return &s, nil
	}
	return nil, slices.Clone(b)
}

type dumpSummary struct {
	File     string `json:"file"`
	Kind     string `json:"kind"`
	Batches  int64  `json:"batches"`
	Records  int64  `json:"records"`
	Size     int64  `json:"size_bytes"`
	Problems int    `json:"problems"`
}

// batchLine is the layout of a batch for eyes. Widths are fixed, since a segment may hold millions.
const batchLine = "%12v  %10v  %20v  %9v  %5v  %-6v  %-24v  %s"

func (d *dumper) segment(name string) error {
	before := d.problems
	sum := dumpSummary{File: d.file, Kind: "summary"}
	var base int64
	if _, err := fmt.Sscanf(filepath.Base(name), "%d.log", &base); err != nil {
		return fmt.Errorf("the name is not that of a segment: %w", err)
	}
	next, epoch := base, int32(-1)
	err := storage.DumpLog(vfs.OS(), name, func(b *storage.DumpBatch) error {
		if err := cmpErr(d.ctx.Err(), d.wroteErr); err != nil {
			return err
		}
		h := b.Header
		sum.Batches++
		sum.Records += int64(h.RecordCount())
		sum.Size = b.Position + b.Size
		if !d.verify {
			d.showBatch(b)
		}
		if !b.ValidCRC {
			d.problem("position %d, offset %d: the CRC is wrong", b.Position, h.BaseOffset())
		}
		if h.BaseOffset() < next {
			d.problem("position %d: the batch begins at offset %d, where at least %d is due", b.Position, h.BaseOffset(), next)
		}
		if h.LeaderEpoch() < epoch {
			d.problem("position %d: leader epoch %d after %d", b.Position, h.LeaderEpoch(), epoch)
		}
		next, epoch = max(next, h.LastOffset()+1), max(epoch, h.LeaderEpoch())
		if d.deep && b.ValidCRC {
			d.showRecords(b)
		}
		return nil
	})
	sum.Problems = d.problems - before
	if err == nil && d.output == "json" {
		d.line(sum)
	} else if err == nil && !d.verify {
		d.heading()
		fmt.Fprintf(d.w, "%s records in %s batches, %s\n", humanCount(sum.Records), humanCount(sum.Batches), humanBytes(sum.Size))
	}
	return err
}

func (d *dumper) showBatch(b *storage.DumpBatch) {
	h := b.Header
	kind := "CreateTime"
	if h.LogAppendTime() {
		kind = "LogAppendTime"
	}
	if d.output == "json" {
		d.line(dumpBatch{d.file, "batch", b.Position, b.Size, h.BaseOffset(), h.LastOffset(), h.RecordCount(), h.LeaderEpoch(), h.Codec().String(),
			kind, h.BaseTimestamp(), h.MaxTimestamp(), h.ProducerID(), h.ProducerEpoch(), h.BaseSequence(), h.Transactional(), h.Control(),
			h.DeleteHorizonSet(), h.CRC(), b.ValidCRC})
		return
	}
	if !d.printed {
		d.heading()
		fmt.Fprintf(d.w, batchLine+"\n", "POSITION", "SIZE", "OFFSETS", "RECORDS", "EPOCH", "CODEC", "TIME", "PRODUCER AND FLAGS")
	}
	var notes []string
	if h.HasProducerID() {
		notes = append(notes, fmt.Sprintf("producer %d epoch %d sequence %d", h.ProducerID(), h.ProducerEpoch(), h.BaseSequence()))
	}
	for _, n := range []struct {
		on   bool
		text string
	}{{h.Transactional(), "transactional"}, {h.Control(), "control"}, {h.LogAppendTime(), "append time"}, {h.DeleteHorizonSet(), "delete horizon"}} {
		if n.on {
			notes = append(notes, n.text)
		}
	}
	row := fmt.Sprintf(batchLine, b.Position, b.Size, fmt.Sprintf("%d-%d", h.BaseOffset(), h.LastOffset()), h.RecordCount(), h.LeaderEpoch(),
		h.Codec(), clock(h.MaxTimestamp()), strings.Join(notes, ", "))
	fmt.Fprintln(d.w, strings.TrimRight(row, " "))
}

// showRecords reads the records of a batch, which checks them, and prints them if asked to.
func (d *dumper) showRecords(b *storage.DumpBatch) {
	if b.Whole == nil {
		d.problem("position %d: the batch of %s is too large to look into", b.Position, humanBytes(b.Size))
		return
	}
	next := b.Header.BaseOffset()
	err := d.reader.Each(b.Whole, func(r *batch.Record) error {
		if r.Offset < next || r.Offset > b.Header.LastOffset() {
			return fmt.Errorf("a record has offset %d in a batch of %d to %d", r.Offset, b.Header.BaseOffset(), b.Header.LastOffset())
		}
		next = r.Offset + 1
		if d.records {
			d.showRecord(r, b.Header.Control())
		}
		return nil
	})
	if err != nil {
		d.problem("position %d, offset %d: %v", b.Position, b.Header.BaseOffset(), err)
	}
}

func (d *dumper) showRecord(r *batch.Record, control bool) {
	out := dumpRecord{File: d.file, Kind: "record", Offset: r.Offset, Timestamp: r.Timestamp, Headers: []dumpText{}}
	if control {
		if m, err := batch.ParseEndTxnMarker(r.Key, r.Value); err == nil {
			out.Control = fmt.Sprintf("%v, coordinator epoch %d", m.Type(), m.CoordinatorEpoch)
		} else if t, err := batch.ParseControlType(r.Key); err == nil {
			out.Control = t.String()
		}
	}
	if d.output == "json" {
		out.dumpText = newDumpText(r.Key, r.Value)
		for k, v := range r.Headers.All() {
			out.Headers = append(out.Headers, newDumpText(k, v))
		}
		d.line(out)
		return
	}
	if out.Control != "" {
		fmt.Fprintf(d.w, "  %d  %s  %s\n", r.Offset, clock(r.Timestamp), out.Control)
		return
	}
	fmt.Fprintf(d.w, "  %d  %s  key=%s  value=%s", r.Offset, clock(r.Timestamp), bytesForEyes(r.Key), bytesForEyes(r.Value))
	for k, v := range r.Headers.All() {
		fmt.Fprintf(d.w, "  %s=%s", printable(string(k)), bytesForEyes(v))
	}
	if _, err := fmt.Fprintln(d.w); err != nil && d.wroteErr == nil {
		d.wroteErr = err
	}
}

func bytesForEyes(b []byte) string {
	if b == nil {
		return "null"
	}
	return `"` + printable(string(b)) + `"`
}
