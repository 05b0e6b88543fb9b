//go:build !linux

package rig

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

func tie(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// DieWithUs is written for Linux only.
func DieWithUs(*exec.Cmd) {}

// Usage of a process since it started.
type Usage struct {
	CPU      time.Duration // user and system time of all its threads
	RSSBytes int64         // resident now
	PeakRSS  int64         // the most that was resident
	Threads  int
	FDs      int
}

// ReadUsage is written for Linux only.
func ReadUsage(int) (Usage, error) {
	return Usage{}, errors.New("rig: CPU and memory are read from /proc, which is Linux only")
}
