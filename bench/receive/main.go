//go:build unix

// Command receive is the floor under produce CPU: it takes megabytes from a loopback socket, computes their CRC-32C and writes them to a
// file, and does nothing else. What it costs per MB, no broker on the same machine can undercut.
//
//	go run ./bench/receive            three rounds of 2,500 MiB; the first one finds the page cache cold
package main

import (
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	block  = 1 << 20
	blocks = 2500
	rounds = 3
)

func main() {
	err := receive()
	if len(os.Args) > 1 {
		err = send(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "receive:", err)
		os.Exit(1)
	}
}

// send is the other process: its CPU must not count.
func send(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, block)
	for i := range b {
		b[i] = byte(i * 7)
	}
	for range blocks {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func receive() error {
	if len(os.Args) > 1 {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "receive-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for range rounds {
		sender := exec.Command(self, l.Addr().String())
		sender.Stderr = os.Stderr
		if err := sender.Start(); err != nil {
			return err
		}
		if err := round(l, filepath.Join(dir, "data")); err != nil {
			return err
		}
		if err := sender.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func round(l net.Listener, name string) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer f.Close()
	table := crc32.MakeTable(crc32.Castagnoli)
	b := make([]byte, block)
	cpu, began, n := used(), time.Now(), int64(0)
	for {
		if _, err := io.ReadFull(c, b); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		crc32.Checksum(b, table)
		if _, err := f.WriteAt(b, n); err != nil {
			return err
		}
		n += block
	}
	mb := float64(n) / 1e6
	fmt.Printf("%.2f ms of CPU per MB, %.0f MB/s\n", (used()-cpu).Seconds()*1e3/mb, mb/time.Since(began).Seconds())
	return nil
}

// used is the CPU time of this process.
func used() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
