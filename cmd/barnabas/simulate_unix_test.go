//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes to holds nobody up who gives up.
func TestSimulateWaitsForAPipeUntilInterrupted(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := readScenario(ctx, pipe); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // who still waits for it is let go
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// A report that the disk has no room for costs nobody the figures.
func TestSimulatePrintsWhatAReportHasNoRoomFor(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("there is no " + full + " here")
	}
	r := invoke(t, "localhost:1", "", "simulate", "consumer-restart", "--html", full)
	if r.code != exitFailed || !strings.Contains(r.out, "seed 1, 1m0s simulated") || !strings.Contains(r.err, "writing the report") {
		t.Errorf("%+v", r)
	}
}
