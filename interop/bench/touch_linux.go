package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// touch writes all dirty pages of the machine to its disks, and uses n bytes of memory once, or half of what is free if that is less.
func touch(n int64) error {
	syscall.Sync()
	if free, err := available(); err != nil {
		return err
	} else if n > free/2 {
		n = free / 2
	}
	memory, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) // it is only quicker
	var wg sync.WaitGroup
	for half := range 2 {
		part := memory[half*len(memory)/2 : (half+1)*len(memory)/2]
		wg.Go(func() {
			for i := 0; i < len(part); i += os.Getpagesize() {
				part[i] = 1
			}
		})
	}
	wg.Wait()
	return syscall.Munmap(memory)
}

func available() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemAvailable")
}
