package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = time.Second / 100

// sampleProcess reads CPU time and peak memory of a process.
func sampleProcess(pid int) (processSample, error) {
	var s processSample
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return s, errors.New("no such process")
	}
	if err != nil {
		return s, err
	}
	// The second field is the command in parentheses and may hold anything; user and system time are the 14th and 15th.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return s, errors.New("its /proc entry cannot be read")
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return s, fmt.Errorf("its /proc entry cannot be read: %w", err)
		}
		s.cpu += time.Duration(n) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				kib, err := strconv.ParseInt(string(f[0]), 10, 64)
				if err != nil {
					return s, fmt.Errorf("its /proc entry cannot be read: %w", err)
				}
				s.rssPeak = kib << 10
			}
		}
	}
	return s, nil
}
