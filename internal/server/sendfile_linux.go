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
	c.nc.SetWriteDeadline(deadlineIn(c.srv.cfg.WriteTimeout))
	left := n
	var failed error
	err = raw.Write(func(sock uintptr) bool {
		for left > 0 {
			sent, err := unix.Sendfile(int(sock), int(fd), &pos, left)
			switch {
			case sent > 0:
				left -= sent
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
			case err != nil:
				failed = err
				return true
			default:
				failed = io.ErrUnexpectedEOF
				return true
			}
		}
		return true
	})
	c.srv.deps.Metrics.BytesOut(n - left)
	if failed != nil {
		return failed
	}
	return err
}
