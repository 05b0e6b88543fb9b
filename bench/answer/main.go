//go:build unix

// Command answer is the floor under the CPU of a request that needs next to no work: a server in Go that reads a request, writes an answer that was
// made beforehand, and does nothing else.
//
//	go run ./bench/answer                  three rounds of 10 s, one CPU, under the load of the heartbeats row: a thousand connections, each sending a
//	                                       request of 90 bytes every 30 ms, and getting 14
//	go run ./bench/answer serve [HEX]      the server: prints its address and answers until it is killed. HEX is what follows the correlation id
//
// A broker in Go that answers each request as it comes cannot cost less on the same machine at the same time. interop/bench starts the server for
// its floor row of small requests, with the body of a real answer.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
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
	request     = 90 // with its size, as is response
	response    = 14
	requestMax  = 4 << 10
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

func serve() error {
	body := make([]byte, response-8)
	if len(os.Args) > 2 {
		var err error
		if body, err = hex.DecodeString(os.Args[2]); err != nil {
			return fmt.Errorf("the body of the answer: %w", err)
		}
	}
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
			answer(c, body)
		}()
	}
}

// answer reads size, key, version and correlation id, and what else there is. Answers leave together when several requests have come together.
func answer(c net.Conn, body []byte) {
	in, b := bufio.NewReaderSize(c, requestMax), make([]byte, requestMax)
	var out []byte
	for {
		if _, err := io.ReadFull(in, b[:4]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(b)
		if n < 8 || n > requestMax {
			return
		}
		if _, err := io.ReadFull(in, b[:n]); err != nil {
			return
		}
		out = binary.BigEndian.AppendUint32(out, uint32(4+len(body)))
		out = append(out, b[4:8]...)
		out = append(out, body...)
		if in.Buffered() > 0 {
			continue
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		out = out[:0]
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
			binary.BigEndian.PutUint32(b, request-4)
			q := append([]byte(nil), b...)
			for next := began.Add(pause * time.Duration(i) / connections); time.Since(began) < lasts; next = next.Add(pause) {
				time.Sleep(time.Until(next))
				if _, err := c.Write(q); err != nil {
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
