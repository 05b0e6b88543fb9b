package storage_test

import (
	"bytes"
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// What the power-cut suite compares after each Open.

// look compares what the store shows after Open with what is known.
func (p *powerCut) look() {
	if p.cluster == "" {
		p.cluster = p.store.ClusterID()
	} else if got := p.store.ClusterID(); got != p.cluster {
		p.fail("the cluster id was %s and is %s", p.cluster, got)
	}
	for _, d := range p.store.Dirs() {
		if d.Clean && p.clean == no || !d.Clean && p.clean == yes {
			p.fail("%s: a clean stop was found: %v", d.Path, d.Clean)
		}
		if p.clean == yes && d.BrokerEpoch != p.epoch {
			p.fail("%s: the broker epoch of the clean stop was %d and is %d", d.Path, p.epoch, d.BrokerEpoch)
		}
	}
	found := map[kafka.TopicID]*storage.Log{}
	for _, log := range p.store.Logs() {
		found[log.TopicID()] = log
	}
	for _, l := range p.logs {
		log := found[l.id]
		delete(found, l.id)
		switch {
		case log == nil && l.state == cutLive:
			p.fail("partition %v is gone", l.tp)
		case log != nil && l.state == cutGone:
			p.fail("partition %v was deleted and is back", l.tp)
		case log != nil && log.TopicPartition() != l.tp:
			p.fail("partition %v is now called %v", l.tp, log.TopicPartition())
		}
		if p.err != nil {
			return
		}
		again := l.state == cutDooming
		p.mu.Lock()
		l.log, l.state = log, cutGone
		if log != nil {
			l.state = cutLive
		}
		p.mu.Unlock()
		if again && log != nil { // half deleted, it may be anything: whoever wanted it gone says so again
			p.deleteLog(l)
			continue
		}
		if log != nil {
			if err := p.lookAt(l); err != nil && !p.ended() {
				p.fail("%v: %w", l.tp, err)
				return
			}
		}
	}
	for id, log := range found { // any order: one is enough
		p.fail("partition %v with topic id %v was never made", log.TopicPartition(), id)
	}
}

// lookAt compares one log with what is known of it, and takes over what the power cut decided.
func (p *powerCut) lookAt(l *cutLog) error {
	log := l.log
	start, end, flushed, epoch := log.StartOffset(), log.EndOffset(), log.FlushedOffset(), log.LatestEpoch()
	p.step("found %v: %d..%d, durable %d, was %d..%d, durable %d", l.tp, start, end, flushed, l.start, l.end(), l.durable)
	if l.uncut != nil {
		l.durable = min(l.durable, l.cutTo)
	}
	switch {
	case start < l.start:
		return fmt.Errorf("log start went back from %d to %d", l.start, start)
	case start > max(l.startMax, l.start, l.durable):
		return fmt.Errorf("log start is %d, nobody asked for more than %d", start, max(l.startMax, l.start, l.durable))
	case end < l.durable:
		return fmt.Errorf("lost: durable up to %d, the log ends at %d", l.durable, end)
	case flushed != end:
		return fmt.Errorf("recovery shows the log up to %d and calls it durable up to %d", end, flushed)
	case epoch < l.epoch && l.epochFrom <= end:
		return fmt.Errorf("leader epoch went back from %d (from offset %d on) to %d", l.epoch, l.epochFrom, epoch)
	case epoch > l.epochMax:
		return fmt.Errorf("leader epoch is %d, the highest ever was %d", epoch, l.epochMax)
	}
	if err := log.CheckIndexes(); err != nil {
		return fmt.Errorf("indexes: %w", err)
	}
	raw, err := readAll(log, start, end)
	if err != nil {
		return err
	}
	same := sameBatches
	if p.mix.compact {
		same = sameRecords
	}
	n, err := same(l.batches, raw, start, end)
	if err != nil && l.uncut != nil {
		l.batches = l.uncut
		n, err = same(l.batches, raw, start, end)
	}
	if err != nil {
		return err
	}
	p.stats.lost += len(l.batches) - n
	l.batches, l.uncut = l.batches[:n:n], nil
	p.mu.Lock()
	l.start, l.durable = start, end
	p.mu.Unlock()
	log.SetHighWatermark(end)
	log.SetUserData(l)
	l.epoch, l.epochFrom = max(l.epoch, epoch), noOffset
	if e := log.Epochs(); len(e) > 0 && epoch == l.epoch {
		l.epochFrom = e[len(e)-1].Start
	}
	p.rewind(l)
	for _, producer := range l.producers {
		p.again(l, producer, 0)
	}
	if !p.mix.compact {
		if err := p.lookUpTimes(l); err != nil {
			return err
		}
	}
	return p.err
}

// lookUpTimes asks for the timestamps of some batches: the indexes may be new or old, but must not lie.
func (p *powerCut) lookUpTimes(l *cutLog) error {
	first := 0
	for first < len(l.batches) && l.batches[first].last < l.start {
		first++
	}
	for i := first; i < len(l.batches); i += 1 + p.rng.IntN(8) {
		ts := l.batches[i].raw.MaxTimestamp()
		want := i // the first with a timestamp as late: the clock never goes back, and all records of a batch bear one time
		for want > first && l.batches[want-1].raw.MaxTimestamp() == ts {
			want--
		}
		offset := max(l.batches[want].base, l.start)
		got, gotTs, _, found, err := l.log.OffsetForTime(ts, l.log.EndOffset())
		if err != nil || !found || got != offset || gotTs != ts {
			return fmt.Errorf("offset for time %d: got %d (time %d, found %v, error %w), want %d", ts, got, gotTs, found, err, offset)
		}
	}
	return nil
}

// readAll reads a log as consumers do, a few bytes at a time.
func readAll(log *storage.Log, from, end int64) ([]batch.Batch, error) {
	var all []batch.Batch
	for from < end {
		s, err := log.Read(from, 300, end, true)
		if err != nil {
			return nil, fmt.Errorf("read from %d: %w", from, err)
		}
		raw, err := s.AppendTo(nil)
		s.Release()
		if err != nil {
			return nil, fmt.Errorf("read from %d: %w", from, err)
		}
		b, _, err := batch.Next(raw)
		if err != nil {
			return nil, fmt.Errorf("read from %d: %d bytes that are no batch: %w", from, len(raw), err)
		}
		if b.LastOffset() < from {
			return nil, fmt.Errorf("read from %d: the batch ends at %d", from, b.LastOffset())
		}
		all = append(all, b)
		from = b.LastOffset() + 1
	}
	return all, nil
}

// sameBatches compares what was read of [start, end) with what was appended, and tells how many of the batches appended are left,
// counting those below start.
func sameBatches(appended []*cutBatch, read []batch.Batch, start, end int64) (n int, err error) {
	for n < len(appended) && appended[n].last < end {
		n++
	}
	if have := endOf(appended[:n]); have != end && end != start {
		return 0, fmt.Errorf("the log ends at %d, inside or beyond what was appended", end)
	}
	i := n - len(read)
	if i < 0 {
		return 0, fmt.Errorf("%d batches are there, only %d were appended", len(read), n)
	}
	for k, b := range read {
		if want := appended[i+k]; !bytes.Equal(b, want.raw) {
			return 0, fmt.Errorf("the batch at %d is not what was appended at %d", b.BaseOffset(), want.base)
		}
	}
	if i > 0 && len(read) > 0 && appended[i-1].last >= start {
		return 0, fmt.Errorf("the log starts at %d, the first batch read is %d", start, read[0].BaseOffset())
	}
	return n, nil
}

// sameRecords is sameBatches for a log that may be compacted anywhere.
func sameRecords(appended []*cutBatch, read []batch.Batch, start, end int64) (n int, err error) {
	for n < len(appended) && appended[n].last < end {
		n++
	}
	if have := endOf(appended[:n]); have != end && end != start {
		return 0, fmt.Errorf("the log ends at %d, inside or beyond what was appended", end)
	}
	var all []batch.Batch
	for _, b := range appended[:n] {
		all = append(all, b.raw)
	}
	written, lastOf := map[int64]cutRecord{}, map[string]int64{}
	err = eachRecord(all, start, func(offset int64, r cutRecord) error {
		written[offset], lastOf[r.key] = r, offset
		return nil
	})
	if err != nil {
		return 0, err
	}
	foundLast, next := map[string]int64{}, start
	err = eachRecord(read, start, func(offset int64, r cutRecord) error {
		switch want, ok := written[offset]; {
		case offset < next:
			return fmt.Errorf("offset %d comes after %d", offset, next-1)
		case !ok:
			return fmt.Errorf("offset %d was never written", offset)
		case r != want:
			return fmt.Errorf("offset %d holds %v, %v was written", offset, r, want)
		}
		foundLast[r.key], next = offset, offset+1
		return nil
	})
	if err != nil {
		return 0, err
	}
	for key, offset := range lastOf { // any order: one is enough
		found, ok := foundLast[key]
		switch {
		case ok && found == offset:
		case !written[offset].tombstone:
			return 0, fmt.Errorf("the last record of key %s, at %d, is gone", key, offset)
		case ok:
			return 0, fmt.Errorf("key %s was deleted at %d and is back with the record at %d", key, offset, found)
		}
	}
	return n, nil
}

type cutRecord struct {
	key, value string
	tombstone  bool
}

// eachRecord calls fn for the records from offset start on.
func eachRecord(batches []batch.Batch, start int64, fn func(offset int64, r cutRecord) error) error {
	reader := batch.NewReader(batch.NewCodecs(batch.Limits{}))
	for _, b := range batches {
		err := reader.Each(b, func(r *batch.Record) error {
			if r.Offset < start {
				return nil
			}
			return fn(r.Offset, cutRecord{string(r.Key), string(r.Value), r.Value == nil})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
