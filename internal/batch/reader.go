package batch

import (
	"errors"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ErrStop ends Reader.Each early and without an error, when a callback returns it.
var ErrStop = errors.New("stop reading the batch")

// Reader looks inside batches. It allocates nothing per record, and between two calls it holds nothing. For one goroutine at a time.
type Reader struct {
	codecs *Codecs
	cursor cursor
	fields fields
	record Record

	keep []uint64 // Filter's decisions, a bit each
}

// NewReader makes a reader that takes its decompressors from codecs.
func NewReader(codecs *Codecs) *Reader { return &Reader{codecs: codecs} }

// Each calls fn for every record of b in order, decompressing as needed, until fn returns an error. It returns that error, nil for ErrStop, or a
// *Fault when the records cannot be read; records before the damage have been handed out by then. The CRC is not looked at.
//
// The Record and its slices are valid until fn returns. Under LogAppendTime every record bears the batch's MaxTimestamp. In a control batch
// (b.Control) the records are not the application's: see ParseControlType.
func (r *Reader) Each(b Batch, fn func(*Record) error) error {
	err := r.each(b, fn)
	if err == ErrStop {
		return nil
	}
	return err
}

func (r *Reader) each(b Batch, fn func(*Record) error) error {
	count := b.RecordCount()
	if count < 0 {
		return faultf(kafka.CorruptMessage, "the batch says it holds %d records", count)
	}
	if count == 0 {
		return nil
	}
	defer r.close()
	c := &r.cursor
	if f := c.open(r.codecs, b); f != nil {
		return f
	}
	baseOffset, baseTimestamp, maxTimestamp, logAppendTime := b.BaseOffset(), b.BaseTimestamp(), b.MaxTimestamp(), b.LogAppendTime()
	f := &r.fields
	for i := range count {
		n, ok := c.length()
		if !ok {
			return c.damaged(i, count)
		}
		body, ok := c.body(n)
		if !ok || !f.parse(body) {
			return c.damaged(i, count)
		}
		r.record = Record{
			Offset:     baseOffset + int64(f.offsetDelta),
			Timestamp:  baseTimestamp + f.timestampDelta,
			Attributes: f.attributes,
			Key:        f.key,
			Value:      f.value,
			Headers:    f.headers,
		}
		if logAppendTime {
			r.record.Timestamp = maxTimestamp
		}
		if err := fn(&r.record); err != nil {
			return err
		}
	}
	if f := c.finish(count); f != nil {
		return f
	}
	return nil
}

// close lets go of the batch and the window.
func (r *Reader) close() {
	r.cursor.close()
	r.fields, r.record = fields{}, Record{}
}
