package server

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roundTrip is how long the kernel finds that bytes take to the client and back; 0 when it does not know.
func (c *conn) roundTrip() (rtt time.Duration) {
	sc, ok := c.nc.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Rtt) * time.Microsecond
		}
	})
	return rtt
}
