package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// server is a broker in a process of its own.
type server struct {
	cmd         *exec.Cmd
	addr, admin string
	log         *os.File
}

func startServer(ctx context.Context, o options) (*server, error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	s := &server{addr: free(), admin: free()}
	var err error
	if s.log, err = os.Create(filepath.Join(o.dir, "broker.log")); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, o.binary, "serve", "--data-dir", filepath.Join(o.dir, "data"), "--listeners", "PLAINTEXT://"+s.addr, "--admin-addr", s.admin)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.Now().Add(time.Minute)
	for {
		resp, err := http.Get("http://" + s.admin + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		if time.Now().After(late) {
			return nil, errors.Join(fmt.Errorf("the broker is not ready: see %s", s.log.Name()), s.stop())
		}
		time.Sleep(50 * time.Millisecond) // between two questions
	}
}

func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) stop() error {
	defer s.log.Close()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the broker: %w; see %s", err, s.log.Name())
	}
	return nil
}

// peak is the most memory that a process had, in bytes.
func (s *server) peak() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var user, system int64
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) > 12 {
		fmt.Sscan(string(fields[11]), &user)
		fmt.Sscan(string(fields[12]), &system)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// result is what was measured.
type result struct {
	Filled     filled
	Start      row   // of the broker, until it has read its history
	BrokerPeak int64 // memory, over all of it
	Commands   []row
	Pages      []row
}

// row is one question: the medians of its repetitions.
type row struct {
	What         string
	WallMs       float64
	CPUMs        float64 // of the command
	BrokerCPUMs  float64
	PeakMB       float64 // of the command
	Bytes        int     // of the answer
	Elements     int     // of the page
	WallMsWorst  float64
	AnswerBegins string
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%d incidents of %d groups in %d records, %d MB, spread over %s; %s\n", r.Filled.Incidents, r.Filled.Groups, r.Filled.Records, r.Filled.Bytes>>20, r.Filled.Over, r.Filled.Machine)
	fmt.Fprintf(w, "broker: ready after %.0f ms, history at hand after %.0f ms of CPU, memory at most %d MB\n\n", r.Start.WallMs, r.Start.BrokerCPUMs, r.BrokerPeak>>20)
	fmt.Fprintf(w, "%-46s %9s %9s %9s %9s %10s %9s\n", "", "wall ms", "worst", "CPU ms", "broker", "peak MB", "bytes")
	for _, x := range append(slices.Clone(r.Commands), r.Pages...) {
		fmt.Fprintf(w, "%-46s %9.0f %9.0f %9.0f %9.0f %10.0f %9d", x.What, x.WallMs, x.WallMsWorst, x.CPUMs, x.BrokerCPUMs, x.PeakMB, x.Bytes)
		if x.Elements > 0 {
			fmt.Fprintf(w, "  %d elements", x.Elements)
		}
		fmt.Fprintln(w)
	}
}

func measure(ctx context.Context, o options) (*result, error) {
	res := &result{}
	b, err := os.ReadFile(filepath.Join(o.dir, "filled.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &res.Filled); err != nil {
		return nil, err
	}
	began := time.Now()
	s, err := startServer(ctx, o)
	if err != nil {
		return nil, err
	}
	res.Start.WallMs = ms(time.Since(began))
	res.Start.BrokerCPUMs = ms(s.settle())
	err = func() error {
		hot, quiet := res.Filled.Hot, res.Filled.Quiet
		for _, args := range [][]string{
			{"explain", hot}, {"explain", quiet}, {"explain", hot, "--since", "1h"}, {"explain", hot, "--since", "7d"}, {"explain", hot, "--since", "30d"},
			{"explain", quiet, "--since", "30d"}, {"explain", hot, "--since", "30d", "--all"}, {"explain", "nobody", "--since", "30d"},
		} {
			r, err := o.command(ctx, s, args)
			if err != nil {
				return err
			}
			res.Commands = append(res.Commands, r)
		}
		group := func(name, more string) string { return "/console/group?name=" + url.QueryEscape(name) + more }
		for _, path := range []string{"/console/", "/console/?sort=unstable", "/console/?q=quiet-09&sort=last", "/console/?page=100", group(hot, ""), group(quiet, ""), group(hot, "&span=168h"),
			"/console/topics?internal=1", "/api/v1/groups?sort=unstable&limit=100", "/api/v1/incidents?group=" + hot + "&limit=500"} {
			r, err := o.page(s, path)
			if err != nil {
				return err
			}
			res.Pages = append(res.Pages, r)
		}
		older, err := o.oldest(s, hot)
		if err != nil {
			return err
		}
		res.Pages = append(res.Pages, older)
		return nil
	}()
	res.BrokerPeak = s.peak()
	return res, errors.Join(err, s.stop())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// settle waits until the broker has nothing to do any more, and gives the CPU that it took so far.
func (s *server) settle() time.Duration {
	for was := time.Duration(-1); ; {
		now := s.cpu()
		if now-was < 20*time.Millisecond {
			return now
		}
		was = now
		time.Sleep(500 * time.Millisecond) // what is measured is CPU, and whether there is any
	}
}

// command runs the program a few times.
func (o options) command(ctx context.Context, s *server, args []string) (row, error) {
	r := row{What: strings.Join(args, " ")}
	var wall, cpu, peak, broker []float64
	for range o.repeat {
		before := s.cpu()
		cmd := exec.CommandContext(ctx, o.binary, append(args, "-b", s.addr)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		began := time.Now()
		err := cmd.Run()
		wall = append(wall, ms(time.Since(began)))
		if err != nil && !strings.Contains(r.What, "nobody") { // of whom there is nothing to tell
			return r, fmt.Errorf("%s: %w\n%s", r.What, err, errs.String())
		}
		cpu = append(cpu, ms(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()))
		broker = append(broker, ms(s.cpu()-before))
		if mb, ok := peakMB(cmd.ProcessState); ok {
			peak = append(peak, mb)
		}
		r.Bytes = out.Len()
		r.AnswerBegins = strings.SplitN(out.String(), "\n", 2)[0]
	}
	r.WallMs, r.CPUMs, r.BrokerCPUMs, r.WallMsWorst = median(wall), median(cpu), median(broker), slices.Max(wall)
	if len(peak) > 0 {
		r.PeakMB = slices.Max(peak)
	}
	return r, nil
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// page asks for a page a few times.
func (o options) page(s *server, path string) (row, error) {
	r := row{What: path}
	var wall, broker []float64
	for range o.repeat {
		before, began := s.cpu(), time.Now()
		body, err := get(s, path)
		if err != nil {
			return r, err
		}
		wall, broker = append(wall, ms(time.Since(began))), append(broker, ms(s.cpu()-before))
		r.Bytes = len(body)
		if bytes.HasPrefix(body, []byte("<!doctype")) {
			r.Elements = elements(body)
		}
	}
	r.WallMs, r.BrokerCPUMs, r.WallMsWorst = median(wall), median(broker), slices.Max(wall)
	return r, nil
}

func get(s *server, path string) ([]byte, error) {
	resp, err := http.Get("http://" + s.admin + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", path, resp.Status, body)
	}
	return body, err
}

// elements counts the tags that open.
func elements(page []byte) (n int) {
	for i := range len(page) - 1 {
		if page[i] == '<' && (page[i+1] >= 'a' && page[i+1] <= 'z') {
			n++
		}
	}
	return n
}

// oldest goes from page to page of a group's incidents until there is no older one.
func (o options) oldest(s *server, group string) (row, error) {
	r := row{}
	before, began := "", time.Now()
	cpu, pages, incidents := s.cpu(), 0, 0
	for {
		body, err := get(s, "/api/v1/incidents?"+url.Values{"group": {group}, "limit": {"500"}, "before": {before}}.Encode())
		if err != nil {
			return r, err
		}
		var got struct {
			Incidents []struct {
				ID string `json:"incident"`
			}
			More bool
		}
		if err := json.NewDecoder(bufio.NewReader(bytes.NewReader(body))).Decode(&got); err != nil {
			return r, err
		}
		pages, incidents, r.Bytes = pages+1, incidents+len(got.Incidents), r.Bytes+len(body)
		if len(got.Incidents) == 0 || !got.More {
			break
		}
		before = got.Incidents[len(got.Incidents)-1].ID
	}
	r.What = fmt.Sprintf("all %d incidents of %s, %d pages", incidents, group, pages)
	r.WallMs, r.BrokerCPUMs = ms(time.Since(began)), ms(s.cpu()-cpu)
	r.WallMsWorst = r.WallMs
	return r, nil
}
