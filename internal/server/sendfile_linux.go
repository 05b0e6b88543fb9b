package server

import (
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

var recordBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func (c *conn) canSendFile() bool { _, ok := c.nc.(*net.TCPConn); return ok }

// sendFile hands a file range to the socket. The offset is explicit, so that any number of answers may read one descriptor at once.
func (c *conn) sendFile(fd uintptr, pos int64, n int) error {
	raw, err := c.nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	for left := n; left > 0 && err == nil; {
		sent := 0
		// The deadline moves with every piece that the socket takes: a slow client is served, one that stands still is not.
		c.allowWrite()
		var failed error
		err = raw.Write(func(sock uintptr) bool {
			for {
				sent, failed = unix.Sendfile(int(sock), int(fd), &pos, left)
				switch {
				case sent > 0:
					failed = nil
				case failed == unix.EINTR:
					continue
				case failed == unix.EAGAIN:
					return false
				case failed == nil:
					failed = io.ErrUnexpectedEOF
				}
				return true
			}
		})
		if failed != nil && err == nil {
			err = failed
		}
		sent = max(sent, 0)
		left -= sent
		c.srv.deps.Metrics.BytesOut(sent)
	}
	return err
}
