//go:build unix

// Command answer is the floor under a heartbeat's CPU: a server that reads a request of 90 bytes and writes an answer of 14, and does nothing
// else, on one CPU, under the load of the heartbeats row: a thousand connections, each sending a request every 30 ms. A broker in Go that
// answers each request as it comes cannot cost less on the same machine at the same time.
//
//	go run ./bench/answer            three rounds of 10 s
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	connections = 1000
	pause       = 30 * time.Millisecond
	lasts       = 10 * time.Second
	rounds      = 3
	request     = 90
	response    = 14
)

func main() {
	what := measure
	if len(os.Args) > 1 {
		what = serve
	}
	if err := what(); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
		os.Exit(1)
	}
}

// serve prints its address and answers until it is killed.
func serve() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in, b := bufio.NewReaderSize(c, 4<<10), make([]byte, request)
			for {
				if _, err := io.ReadFull(in, b); err != nil {
					return
				}
				if _, err := c.Write(b[:response]); err != nil {
					return
				}
			}
		}()
	}
}

func measure() error {
	for range rounds {
		if err := round(); err != nil {
			return err
		}
	}
	return nil
}

func round() error {
	server := exec.Command("taskset", "-c", "0", os.Args[0], "serve")
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		var n int64
		var took time.Duration
		if n, took, err = load(strings.TrimSpace(addr)); err == nil {
			defer func() {
				u := server.ProcessState.SysUsage().(*syscall.Rusage)
				cpu := time.Duration(u.Utime.Nano() + u.Stime.Nano())
				fmt.Printf("%.0f requests/s, %.1f us of CPU each\n", float64(n)/took.Seconds(), float64(cpu.Microseconds())/float64(n))
			}()
		}
	}
	server.Process.Kill()
	server.Wait()
	return err
}

func load(addr string) (int64, time.Duration, error) {
	var n atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, connections)
	began := time.Now()
	for i := range connections {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, 0, err
		}
		wg.Go(func() {
			defer c.Close()
			b := make([]byte, request)
			for next := began.Add(pause * time.Duration(i) / connections); time.Since(began) < lasts; next = next.Add(pause) {
				time.Sleep(time.Until(next))
				if _, err := c.Write(b); err != nil {
					errs[i] = err
					return
				}
				if _, err := io.ReadFull(c, b[:response]); err != nil {
					errs[i] = err
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load(), time.Since(began), errors.Join(errs...)
}
