package storage

import (
	"fmt"
	"io"
	"sync"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Slice is a range of whole or cut batches in one segment file. It keeps the file open until Release, also when retention or compaction
// removes the segment meanwhile. For one goroutine.
type Slice struct {
	seg   *segment
	file  vfs.File
	pos   int64
	n     int
	base  int64
	next  int64
	first int // bytes of the first batch
}

var slicePool = sync.Pool{New: func() any { return new(Slice) }}

// emptySlice has nothing in it and nothing to release.
var emptySlice = &Slice{base: -1, next: -1}

// Len is the number of bytes.
func (s *Slice) Len() int { return s.n }

// FirstBatchBaseOffset is the base offset of the first batch, at most the offset that was asked for unless that one is gone; -1 when empty.
func (s *Slice) FirstBatchBaseOffset() int64 { return s.base }

// FirstBatchLen is the bytes of the first batch; the slice may hold fewer only if it is empty.
func (s *Slice) FirstBatchLen() int { return s.first }

// UpperBound is an offset that no record of the slice reaches; the transactions a reader must know began below it. -1 when empty.
func (s *Slice) UpperBound() int64 { return s.next }

// File is the descriptor and position for sendfile; ok is false where there is none, or nothing to send.
func (s *Slice) File() (fd uintptr, pos int64, ok bool) {
	if s.n == 0 {
		return 0, 0, false
	}
	fd, ok = s.file.Fd()
	return fd, s.pos, ok
}

// AppendTo appends the bytes to dst. A segment that was truncated since answers io.ErrUnexpectedEOF, a failing disk its error; dst is then
// returned as it was.
func (s *Slice) AppendTo(dst []byte) ([]byte, error) { return s.AppendPart(dst, 0, s.n) }

// AppendPart is AppendTo for n bytes of the slice from byte from on; both must lie within Len.
func (s *Slice) AppendPart(dst []byte, from, n int) ([]byte, error) {
	if n == 0 {
		return dst, nil
	}
	at := len(dst)
	if cap(dst)-at < n {
		grown := make([]byte, at, at+n)
		copy(grown, dst)
		dst = grown
	}
	pos := s.pos + int64(from)
	read, err := s.file.ReadAt(dst[at:at+n], pos)
	if read == n {
		return dst[:at+n], nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return dst[:at], fmt.Errorf("read %s at %d: %w", s.seg.file.path(), pos, err)
}

// Release lets go of the file. The slice must not be used after it.
func (s *Slice) Release() {
	if s.seg == nil {
		return
	}
	f := s.seg.file
	*s = Slice{}
	slicePool.Put(s)
	f.unpin()
}

// Read returns bytes from the batch that holds offset from, or the next batch there is, up to limit: only batches whose offsets all lie
// below it, from one segment. At most maxBytes, so the slice may end inside a batch, as Kafka's does. A first batch larger than maxBytes
// comes whole if minOneBatch, else not at all. Nothing to read is an empty slice. Release must be called on every slice.
//
// *OutOfRange when from lies outside [start, end]. Nothing is allocated when the wanted batches are among the last written.
func (l *Log) Read(from int64, maxBytes int, limit int64, minOneBatch bool) (*Slice, error) {
	if err := l.usable(); err != nil {
		return nil, err
	}
	end := l.end.Load() // before the view, so that the view reaches it
	limit = min(limit, end)
	for {
		if start := l.start.Load(); from < start || from > end {
			return nil, &OutOfRange{Offset: from, Start: start, End: end}
		}
		if from >= limit {
			return emptySlice, nil
		}
		v := l.view.Load()
		s, err := l.readView(v, from, maxBytes, limit, end, minOneBatch)
		if err == nil || l.view.Load() == v {
			return s, err
		}
		// Retention, truncation or compaction replaced a segment under us: look again.
		if err := l.usable(); err != nil {
			return nil, err
		}
		end = l.end.Load()
		limit = min(limit, end)
	}
}

func (l *Log) readView(v *view, from int64, maxBytes int, limit, end int64, minOneBatch bool) (*Slice, error) {
	for i := v.floor(from); i < len(v.segments); i++ {
		seg := v.segments[i]
		first, err := seg.locate(from)
		if err == io.EOF { // compaction left nothing at or beyond from in this one
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %v at offset %d: %w", l.tp, from, err)
		}
		if first.next > limit {
			return emptySlice, nil
		}
		stop, err := seg.stop(limit, v.end(i, end))
		if err != nil {
			return nil, fmt.Errorf("read %v up to offset %d: %w", l.tp, limit, err)
		}
		size := first.end - first.pos
		n := min(stop-first.pos, int64(max(maxBytes, 0)))
		if n < size {
			if !minOneBatch {
				return emptySlice, nil
			}
			n = size
		}
		f, err := seg.file.pin()
		if err != nil {
			return nil, fmt.Errorf("read %v at offset %d: %w", l.tp, from, err)
		}
		s := slicePool.Get().(*Slice)
		*s = Slice{seg: seg, file: f, pos: first.pos, n: int(n), base: first.base, first: int(size), next: min(limit, v.end(i, end))}
		if x := seg.idx.Load(); x != nil && n < stop-first.pos {
			s.next = max(min(s.next, x.after(first.pos+n)), first.next)
		}
		return s, nil
	}
	return emptySlice, nil
}

// stop is the position behind the last batch that lies wholly below limit. segEnd is the first offset beyond the segment.
func (s *segment) stop(limit, segEnd int64) (int64, error) {
	if limit >= segEnd {
		x, err := s.index()
		if err != nil {
			return 0, err
		}
		if pos, ok := x.endingAt(segEnd); ok {
			return pos, nil
		}
		limit = segEnd // so many batches came since segEnd was read that it has to be looked up
	}
	b, err := s.locate(limit)
	if err == io.EOF {
		return s.size.Load(), nil
	}
	return b.pos, err
}
