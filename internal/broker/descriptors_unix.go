//go:build unix

package broker

import (
	"math"
	"syscall"
)

// descriptorLimit is how many files and sockets this process may have open. Go has raised it as far as it may go.
func descriptorLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > math.MaxInt32 {
		return math.MaxInt
	}
	return int(l.Cur)
}
