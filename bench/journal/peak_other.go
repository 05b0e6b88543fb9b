//go:build !linux

package main

import "os"

// peakMB is not known here: each system has its own unit for it, or none.
func peakMB(*os.ProcessState) (float64, bool) { return 0, false }
