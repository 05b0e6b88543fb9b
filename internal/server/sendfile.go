package server

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// copyBelow is the size up to which record bytes are copied next to their frame: one write is then cheaper than two system calls.
const copyBelow = 16 << 10

// copyPiece bounds what is copied at a time where the platform cannot send files.
const copyPiece = 128 << 10

// writeRecords writes a frame with record bytes at its cuts. Large ranges go from the page cache to the socket where the platform
// can do that; the rest is copied through memory, a bounded piece at a time. When a range ends early the connection is closed, since
// its length has been promised already.
func (c *conn) writeRecords(frame []byte, cuts []wire.Cut, slices []*storage.Slice) error {
	buf := recordBuffers.Get().(*[]byte)
	pending := (*buf)[:0]
	defer func() {
		*buf = pending[:0]
		if cap(pending) <= 256<<10 {
			recordBuffers.Put(buf)
		}
	}()
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		err := c.write(pending)
		pending = pending[:0]
		return err
	}
	at := 0
	for i, cut := range cuts {
		pending = append(pending, frame[at:cut.At]...)
		at = cut.At
		s := slices[i]
		fd, pos, hasFile := s.File()
		if hasFile && s.Len() > copyBelow && c.canSendFile() {
			if err := flush(); err != nil {
				return err
			}
			if err := c.sendFile(fd, pos, s.Len()); err != nil {
				return fmt.Errorf("send records: %w", err)
			}
			continue
		}
		for from := 0; from < s.Len(); {
			n := min(s.Len()-from, copyPiece)
			var err error
			if pending, err = s.AppendPart(pending, from, n); err != nil {
				return fmt.Errorf("read records to send: %w", err)
			}
			from += n
			if len(pending) > copyPiece/2 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	pending = append(pending, frame[at:]...)
	return flush()
}
