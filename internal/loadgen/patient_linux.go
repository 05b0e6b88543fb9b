package loadgen

import (
	"net"
	"syscall"
)

// setLowWater asks the kernel to wake the reader of c when n bytes are there, or no more come. Where it cannot, c is read as it comes.
func setLowWater(c net.Conn, n int) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) })
}
