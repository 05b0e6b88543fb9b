package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// clock is a timestamp for eyes; -1 is none.
func clock(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// The small files are read whole and shown as tables. Each JSON object below is one of their entries.

type dumpIndexEntry struct {
	File     string `json:"file"`
	Kind     string `json:"kind"`
	Offset   int64  `json:"offset"`
	Position int64  `json:"position"`
	Problem  string `json:"problem,omitempty"`
}

type dumpTimeEntry struct {
	File      string `json:"file"`
	Kind      string `json:"kind"`
	Timestamp int64  `json:"timestamp"`
	Offset    int64  `json:"offset"`
	Problem   string `json:"problem,omitempty"`
}

type dumpTxn struct {
	File             string `json:"file"`
	Kind             string `json:"kind"`
	ProducerID       int64  `json:"producer_id"`
	FirstOffset      int64  `json:"first_offset"`
	LastOffset       int64  `json:"last_offset"`
	LastStableOffset int64  `json:"last_stable_offset"`
}

type dumpProducer struct {
	File             string `json:"file"`
	Kind             string `json:"kind"`
	ProducerID       int64  `json:"producer_id"`
	Epoch            int16  `json:"epoch"`
	LastSequence     int32  `json:"last_sequence"`
	LastOffset       int64  `json:"last_offset"`
	OffsetDelta      int32  `json:"offset_delta"`
	Timestamp        int64  `json:"timestamp"`
	CoordinatorEpoch int32  `json:"coordinator_epoch"`
	TxnFirstOffset   int64  `json:"txn_first_offset"` // -1: no open transaction
}

type dumpEpoch struct {
	File        string `json:"file"`
	Kind        string `json:"kind"`
	Epoch       int32  `json:"epoch"`
	StartOffset int64  `json:"start_offset"`
}

type dumpOffset struct {
	File      string `json:"file"`
	Kind      string `json:"kind"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type dumpMetadata struct {
	File    string        `json:"file"`
	Kind    string        `json:"kind"`
	TopicID kafka.TopicID `json:"topic_id"`
}

// entries shows a list: as lines of JSON, as a table, or (with --verify) not at all.
func entries[T any](d *dumper, list []T, line func(T) any, row func(*table, T), titles ...string) {
	switch {
	case d.verify:
	case d.output == "json":
		for _, e := range list {
			d.line(line(e))
		}
	default:
		d.heading()
		if len(list) == 0 {
			fmt.Fprintln(d.w, "no entries")
			return
		}
		t := newTable(titles...)
		for _, e := range list {
			row(t, e)
		}
		t.dropEmptyColumns()
		t.draw(d.w, d.paint)
	}
}

func (d *dumper) index(name string) error {
	list, err := storage.DumpIndex(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, list, func(e storage.DumpIndexEntry) any {
		return dumpIndexEntry{d.file, "index", e.Offset, e.Position, e.Problem}
	}, func(t *table, e storage.DumpIndexEntry) { t.row(e.Offset, e.Position, e.Problem) }, ">OFFSET", ">POSITION", "PROBLEM")
	for _, e := range list {
		if e.Problem != "" {
			d.problem("offset %d at position %d: %s", e.Offset, e.Position, e.Problem)
		}
	}
	return nil
}

func (d *dumper) timeIndex(name string) error {
	list, err := storage.DumpTimeIndex(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, list, func(e storage.DumpTimeEntry) any {
		return dumpTimeEntry{d.file, "timeindex", e.Timestamp, e.Offset, e.Problem}
	}, func(t *table, e storage.DumpTimeEntry) { t.row(e.Timestamp, clock(e.Timestamp), e.Offset, e.Problem) },
		">TIMESTAMP", "TIME", ">OFFSET", "PROBLEM")
	for _, e := range list {
		if e.Problem != "" {
			d.problem("timestamp %d, offset %d: %s", e.Timestamp, e.Offset, e.Problem)
		}
	}
	return nil
}

func (d *dumper) txnIndex(name string) error {
	list, err := storage.DumpTxnIndex(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, list, func(e storage.AbortedTxn) any {
		return dumpTxn{d.file, "txnindex", e.ProducerID, e.FirstOffset, e.LastOffset, e.LastStableOffset}
	}, func(t *table, e storage.AbortedTxn) {
		t.row(e.ProducerID, e.FirstOffset, e.LastOffset, e.LastStableOffset)
	}, ">PRODUCER", ">FIRST OFFSET", ">LAST OFFSET", ">LAST STABLE OFFSET")
	return nil
}

func (d *dumper) snapshot(name string) error {
	list, err := storage.DumpSnapshot(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, list, func(e storage.SnapshotRow) any {
		return dumpProducer{d.file, "producer", e.ProducerID, e.Epoch, e.LastSequence, e.LastOffset, e.OffsetDelta, e.Timestamp, e.CoordinatorEpoch,
			e.TxnFirstOffset}
	}, func(t *table, e storage.SnapshotRow) {
		var open any
		if e.TxnFirstOffset >= 0 {
			open = e.TxnFirstOffset
		}
		t.row(e.ProducerID, e.Epoch, e.LastSequence, e.LastOffset, clock(e.Timestamp), e.CoordinatorEpoch, open)
	}, ">PRODUCER", ">EPOCH", ">LAST SEQUENCE", ">LAST OFFSET", "TIME", ">COORDINATOR EPOCH", ">OPEN SINCE OFFSET")
	return nil
}

func (d *dumper) epochs(name string) error {
	list, err := storage.DumpEpochs(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, list, func(e storage.EpochEntry) any { return dumpEpoch{d.file, "epoch", e.Epoch, e.Start} },
		func(t *table, e storage.EpochEntry) { t.row(e.Epoch, e.Start) }, ">EPOCH", ">START OFFSET")
	return nil
}

func (d *dumper) offsets(name string) error {
	m, err := storage.DumpOffsets(vfs.OS(), name)
	if err != nil {
		return err
	}
	var list []kafka.TopicPartition
	for tp := range m {
		list = append(list, tp)
	}
	slices.SortFunc(list, func(x, y kafka.TopicPartition) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	entries(d, list, func(tp kafka.TopicPartition) any { return dumpOffset{d.file, "offset", tp.Topic, tp.Partition, m[tp]} },
		func(t *table, tp kafka.TopicPartition) { t.row(tp.Topic, tp.Partition, m[tp]) }, "TOPIC", ">PARTITION", ">OFFSET")
	return nil
}

func (d *dumper) metadata(name string) error {
	id, err := storage.DumpPartitionMetadata(vfs.OS(), name)
	if err != nil {
		return err
	}
	entries(d, []kafka.TopicID{id}, func(id kafka.TopicID) any { return dumpMetadata{d.file, "metadata", id} },
		func(t *table, id kafka.TopicID) { t.row(id.String()) }, "TOPIC ID")
	return nil
}
