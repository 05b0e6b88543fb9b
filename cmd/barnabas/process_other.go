//go:build !linux

package main

import "errors"

// sampleProcess needs Linux's /proc.
func sampleProcess(int) (processSample, error) {
	return processSample{}, errors.New("only Linux tells the CPU and memory of another process here")
}
