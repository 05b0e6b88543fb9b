package batch

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// FilterOptions say what else becomes of a batch whose records are filtered.
type FilterOptions struct {
	// DeleteHorizonMs becomes the batch's delete horizon if it has none yet and a tombstone stays; 0 or less sets none. Storage passes now +
	// delete.retention.ms.
	DeleteHorizonMs int64
	// ForceDeleteHorizon sets it without a tombstone too: for a transaction marker whose transaction has no data left.
	ForceDeleteHorizon bool
	// KeepEmpty leaves the header when no record stays: for the last batch of a producer, whose sequence it remembers, and for the last batch of
	// a round, so that the log's offsets stay continuous.
	KeepEmpty bool
}

// FilterResult is what became of a batch.
type FilterResult struct {
	// Batch is nil when nothing stays. It aliases the input when nothing changed, else the Builder's memory, until its next Reset.
	Batch Batch
	// Kept and Dropped count records.
	Kept, Dropped int
	// Changed is false when Batch is the input, byte for byte.
	Changed bool
}

// Filter keeps those records of in for which keep returns true, as compaction needs it: their offsets, the last offset of the batch, its leader
// epoch, producer, sequence, kind of timestamp and codec (at its default level) stay what they were. MaxTimestamp becomes that of what is kept,
// except under LogAppendTime. keep is called once for each record, in order, and sees a Record as in Each.
//
// The batch is decompressed once to ask keep, and once more only when it must be written anew.
func (r *Reader) Filter(in Batch, out *Builder, o FilterOptions, keep func(*Record) bool) (FilterResult, error) {
	var res FilterResult
	count := in.RecordCount()
	r.keep = r.keep[:0]
	index, tombstone := 0, false
	err := r.each(in, func(rec *Record) error {
		if index%64 == 0 {
			r.keep = append(r.keep, 0)
		}
		if keep(rec) {
			r.keep[index/64] |= 1 << (index % 64)
			res.Kept++
			tombstone = tombstone || rec.Value == nil
		}
		index++
		return nil
	})
	if err != nil {
		return FilterResult{}, fmt.Errorf("read the batch at offset %d: %w", in.BaseOffset(), err)
	}
	res.Dropped = int(count) - res.Kept
	if res.Kept == 0 {
		if count == 0 && o.KeepEmpty {
			res.Batch = in
			return res, nil
		}
		res.Changed = true
		if o.KeepEmpty {
			res.Batch, err = emptied(in, out)
		}
		return res, err
	}
	horizon := o.DeleteHorizonMs > 0 && (tombstone || o.ForceDeleteHorizon) && !in.DeleteHorizonSet()
	if res.Dropped == 0 && !horizon {
		res.Batch = in
		return res, nil
	}
	res.Changed = true
	res.Batch, err = r.copyKept(in, out, horizon, o.DeleteHorizonMs)
	return res, err
}

// headerOptions are the Options that make a header like b's.
func headerOptions(b Batch) Options {
	return Options{
		BaseOffset:       b.BaseOffset(),
		LeaderEpoch:      b.LeaderEpoch(),
		Codec:            b.Codec(),
		Producer:         &Producer{ID: b.ProducerID(), Epoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence()},
		LogAppendTime:    b.LogAppendTime(),
		LogAppendTimeMs:  b.MaxTimestamp(),
		Transactional:    b.Transactional(),
		Control:          b.Control(),
		DeleteHorizonSet: b.DeleteHorizonSet(),
		DeleteHorizonMs:  b.BaseTimestamp(),
	}
}

func (r *Reader) copyKept(in Batch, out *Builder, horizon bool, horizonMs int64) (Batch, error) {
	o := headerOptions(in)
	if horizon {
		o.DeleteHorizonSet, o.DeleteHorizonMs = true, horizonMs
	}
	out.Reset(o)
	index := 0
	err := r.each(in, func(rec *Record) error {
		i := index
		index++
		if r.keep[i/64]&(1<<(i%64)) == 0 {
			return nil
		}
		return out.AppendAt(rec.Offset, rec.Timestamp, rec.Key, rec.Value, rec.Headers)
	})
	if err == nil {
		err = out.ExtendTo(in.LastOffset())
	}
	if err != nil {
		return nil, fmt.Errorf("compact the batch at offset %d: %w", in.BaseOffset(), err)
	}
	return out.Build()
}

// emptied is the header of b without records. It keeps MaxTimestamp, which says when its producer last wrote.
func emptied(b Batch, out *Builder) (Batch, error) {
	if b.LastOffsetDelta() < 0 {
		return nil, faultf(kafka.CorruptMessage, "the batch at offset %d has last offset delta %d", b.BaseOffset(), b.LastOffsetDelta())
	}
	o := headerOptions(b)
	o.DeleteHorizonSet = false
	out.Reset(o)
	if err := out.ExtendTo(b.LastOffset()); err != nil {
		return nil, err
	}
	empty, err := out.Build()
	if err == nil {
		empty.setMaxTimestamp(b.MaxTimestamp(), b.LogAppendTime())
	}
	return empty, err
}
