package assign

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the CPU time of the thread it is called on.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
