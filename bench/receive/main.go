//go:build unix

// Command receive is the floor under produce CPU: it takes blocks from a loopback socket, computes their CRC-32C, appends them to files in
// turn, with -flush each with an fdatasync, and does nothing else. What that costs per MB, no broker in Go on the same machine can undercut.
//
//	go run ./bench/receive            5 s into one file, as JSON; the first run finds the machine's memory cold
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

type settings struct {
	dir          string
	block, files int
	flush        bool
	warmup, last time.Duration
}

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", ".", "directory on the disk in question")
	flag.IntVar(&s.block, "block", 1_000_012, "bytes of each write")
	flag.IntVar(&s.files, "files", 1, "files, appended to in turn")
	flag.BoolVar(&s.flush, "flush", false, "fdatasync after each block")
	flag.DurationVar(&s.warmup, "warmup", time.Second, "not counted, as in barnabas bench: what is dirty by then slows down what comes after")
	flag.DurationVar(&s.last, "duration", 5*time.Second, "how long")
	to := flag.String("send-to", "", "be the other side: send to this address until it hangs up")
	flag.Parse()
	err := errors.New("block and files must be positive")
	switch {
	case s.block <= 0 || s.files <= 0:
	case *to != "":
		err = send(*to, s.block)
	default:
		err = run(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "receive:", err)
		os.Exit(1)
	}
}

// send is the other process: its CPU must not count.
func send(address string, block int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, block)
	for i := range b {
		b[i] = byte(i * 7)
	}
	for {
		if _, err := c.Write(b); err != nil {
			return nil // it has hung up
		}
	}
}

func run(s settings) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sender := exec.Command(self, "-send-to", l.Addr().String(), "-block", strconv.Itoa(s.block))
	sender.Stderr = os.Stderr
	if err := sender.Start(); err != nil {
		return err
	}
	return errors.Join(receive(l, s), sender.Wait())
}

func receive(l net.Listener, s settings) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	var open []*os.File
	for i := range s.files {
		f, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("receive-%d", i)), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		open = append(open, f)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	b := make([]byte, s.block)
	var user, system time.Duration
	began, blocks, warm := time.Now(), 0, false
	for ; !warm || time.Since(began) < s.last; blocks++ {
		if !warm && time.Since(began) >= s.warmup {
			user, system = used()
			began, blocks, warm = time.Now(), 0, true
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		crc32.Checksum(b, table)
		f := open[blocks%s.files]
		if _, err := f.Write(b); err != nil {
			return err
		}
		if s.flush {
			if err := flush(f); err != nil {
				return err
			}
		}
	}
	seconds, mb := time.Since(began).Seconds(), float64(blocks)*float64(s.block)/1e6
	u, sys := used()
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"kind": "receive", "block_bytes": s.block, "files": s.files, "flush": s.flush,
		"elapsed_seconds": seconds, "megabytes_per_second": mb / seconds, "cpu_ms_per_mb": (u - user + sys - system).Seconds() * 1e3 / mb,
		"user_ms_per_mb": (u - user).Seconds() * 1e3 / mb, "system_ms_per_mb": (sys - system).Seconds() * 1e3 / mb})
}

// used is the CPU time of this process.
func used() (user, system time.Duration) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0, 0
	}
	return time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())
}
