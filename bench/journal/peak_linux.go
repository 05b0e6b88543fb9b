package main

import (
	"os"
	"syscall"
)

// peakMB is the most memory that an ended process had resident, in MB of 1,024 KiB.
func peakMB(p *os.ProcessState) (float64, bool) {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, false
	}
	return float64(u.Maxrss) / 1024, true // in KiB on Linux
}
