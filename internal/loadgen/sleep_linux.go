package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil waits for t, or until stop closes (false). The runtime's timers are as coarse as a millisecond, which would be most of
// what a fast broker takes, so the last two milliseconds are slept by the kernel's finer one.
func sleepUntil(t time.Time, stop <-chan struct{}) bool {
	for {
		select {
		case <-stop:
			return false
		default:
		}
		d := time.Until(t)
		if d <= 0 {
			return true
		}
		if d > 2*time.Millisecond {
			timer := time.NewTimer(d - 2*time.Millisecond)
			select {
			case <-stop:
				timer.Stop()
				return false
			case <-timer.C:
			}
			continue
		}
		ts := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&ts, nil) // a signal wakes it early: the loop looks again
	}
}
