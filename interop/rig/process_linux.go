package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DieWithUs has a child end with this process, however that ends. The child stays in our process group. It is the end of the thread that counts:
// callers lock theirs.
func DieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// tie puts a child into a process group of its own and has the kernel kill it when the thread that started it ends: callers lock theirs.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Usage of a process since it started.
type Usage struct {
	CPU      time.Duration // user and system time of all its threads
	RSSBytes int64         // resident now
	PeakRSS  int64         // the most that was resident
	Threads  int
	FDs      int
}

// clockTick is the unit of /proc/PID/stat: 100 per second on every Linux that Go runs on.
const clockTick = time.Second / 100

// ReadUsage reads /proc.
func ReadUsage(pid int) (Usage, error) {
	var u Usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The second field is the command in parentheses and may hold spaces: count from the last parenthesis.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 18 {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	u.CPU = time.Duration(user+system) * clockTick
	u.Threads, _ = strconv.Atoi(fields[17])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "VmHWM":
			u.PeakRSS = kib << 10
		case "VmRSS":
			u.RSSBytes = kib << 10
		}
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
		u.FDs = len(fds)
	}
	return u, nil
}
