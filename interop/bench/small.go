package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// smallConnections send small requests side by side.
const smallConnections = 4

// inFlight is how many requests Kafka's clients send before the first is answered: max.in.flight.requests.per.connection.
const inFlight = 5

// smallRows are requests whose work is next to nothing, one at a time and several, and what they cost a server that does nothing else than
// answer.
func smallRows(requests int) (rows []row) {
	for _, window := range []int{1, inFlight} {
		suffix, how := "", "one at a time"
		if window > 1 {
			suffix, how = fmt.Sprintf(", %d in flight", window), fmt.Sprintf("%d in flight", window)
		}
		for _, api := range []string{"ApiVersions", "Metadata", "ListOffsets"} {
			rows = append(rows, row{name: "small request, " + api + suffix, group: "small requests",
				probeWhat: fmt.Sprintf("%d %s requests, %s on each of %d connections", requests, api, how, smallConnections),
				probe: func(ctx context.Context, t target) (map[string]float64, error) {
					if err := ensureTopic(ctx, t.broker.Addr, "small", 1); err != nil {
						return nil, err
					}
					return smallRequests(ctx, t.broker.Addr, t.broker.PID(), api, window, requests)
				}})
		}
		rows = append(rows, row{name: "small request, floor" + suffix, group: "small requests", alone: true,
			probeWhat: fmt.Sprintf("%d ApiVersions requests, %s on each of %d connections, to go run ./bench/answer serve", requests, how, smallConnections),
			probe: func(ctx context.Context, t target) (map[string]float64, error) {
				return smallFloor(ctx, t, "ApiVersions", window, requests)
			}})
	}
	return rows
}

// smallRequest is a request that the "small" topic is enough for.
func smallRequest(api string) kmsg.Request {
	switch api {
	case "ApiVersions":
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "bench", "1"
		return q
	case "Metadata":
		q := kmsg.NewPtrMetadataRequest()
		q.Version = 9
		mt := kmsg.NewMetadataRequestTopic()
		mt.Topic = kmsg.StringPtr("small")
		q.Topics = append(q.Topics, mt)
		return q
	default:
		return listOffsets("small", 1)
	}
}

// smallRequests measures the CPU of a server per request.
func smallRequests(ctx context.Context, addr string, pid int, api string, window, total int) (map[string]float64, error) {
	exchange := func(n int) error {
		var wg sync.WaitGroup
		errs := make([]error, smallConnections)
		for i := range smallConnections {
			wg.Go(func() { errs[i] = converse(ctx, addr, api, window, n/smallConnections) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	if err := exchange(total / 5); err != nil {
		return nil, err
	}
	before, err := rig.ReadUsage(pid)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := exchange(total); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := rig.ReadUsage(pid)
	if err != nil {
		return nil, err
	}
	return map[string]float64{"CPU us/request": float64((after.CPU - before.CPU).Microseconds()) / float64(total),
		"requests/s": float64(total) / took.Seconds()}, nil
}

// converse sends n requests over a connection of its own.
func converse(ctx context.Context, addr, api string, window, n int) error {
	c, err := wire.Dial(ctx, addr, "bench")
	if err != nil {
		return err
	}
	defer c.Close()
	if window > 1 {
		return stream(ctx, c, api, window, n)
	}
	for range n {
		if _, err := c.Do(ctx, smallRequest(api)); err != nil {
			return err
		}
	}
	return nil
}

// stream has up to so many requests on their way. Whatever answers have come are taken, and as many requests sent with one write.
func stream(ctx context.Context, c *wire.Conn, api string, window, n int) error {
	nc := c.Net()
	if at, ok := ctx.Deadline(); ok {
		nc.SetDeadline(at)
	}
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })()
	format, in := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")), bufio.NewReaderSize(nc, 64<<10)
	var one, out, frame []byte
	sent, answered := 0, 0
	for answered < n {
		out = out[:0]
		for sent < n && sent-answered < window {
			one = format.AppendRequest(one[:0], smallRequest(api), int32(sent)) // it takes the start of what it is given for its own
			out = append(out, one...)
			sent++
		}
		if _, err := nc.Write(out); err != nil {
			return err
		}
		for first := true; first || in.Buffered() > 0; first = false {
			var head [8]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return err
			}
			size, id := int(binary.BigEndian.Uint32(head[:]))-4, int(binary.BigEndian.Uint32(head[4:]))
			if id != answered || size < 0 || size > 1<<20 {
				return fmt.Errorf("an answer of %d bytes to request %d, in place of %d", size, id, answered)
			}
			frame = append(frame[:0], make([]byte, size)...)
			if _, err := io.ReadFull(in, frame); err != nil {
				return err
			}
			q := smallRequest(api)
			resp := q.ResponseKind()
			resp.SetVersion(q.GetVersion())
			if err := resp.ReadFrom(body(q, frame)); err != nil {
				return fmt.Errorf("%s: %w", api, err)
			}
			answered++
		}
	}
	return nil
}

// body is an answer without what is left of its header behind the correlation id.
func body(q kmsg.Request, answer []byte) []byte {
	if q.IsFlexible() && q.Key() != int16(kmsg.ApiVersions) && len(answer) > 0 {
		return answer[1:] // no tags
	}
	return answer
}

// smallFloor is smallRequests of a server that answers with what the broker has answered once.
func smallFloor(ctx context.Context, t target, api string, window, total int) (map[string]float64, error) {
	c, err := wire.Dial(ctx, t.broker.Addr, "bench")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	resp, err := c.Do(ctx, smallRequest(api))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "answer-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "answer")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./bench/answer")
	build.Dir = t.o.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build bench/answer: %w\n%s", err, out)
	}
	argv := []string{binary, "serve", hex.EncodeToString(resp.AppendTo(nil))}
	if t.o.cpus != "" {
		argv = append([]string{"taskset", "-c", t.o.cpus}, argv...)
	}
	server := exec.CommandContext(ctx, argv[0], argv[1:]...)
	stdout, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer server.Wait()
	defer server.Process.Kill()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("bench/answer says no address: %w", err)
	}
	return smallRequests(ctx, strings.TrimSpace(addr), server.Process.Pid, api, window, total)
}
