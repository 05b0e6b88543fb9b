package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
)

type machine struct {
	CPU        string  `json:"cpu"`
	CPUs       int     `json:"cpus"`
	MemoryGiB  float64 `json:"memory_gib"`
	Kernel     string  `json:"kernel"`
	FileSystem string  `json:"file_system"`
	Go         string  `json:"go"`
	Java       string  `json:"java"`
}

func describeMachine(root string) machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib float64
		fmt.Sscanf(string(text), "MemTotal: %f kB", &kib)
		m.MemoryGiB = math.Round(kib/1024/1024*10) / 10
	}
	first := func(name string, args ...string) string {
		out, _ := exec.Command(name, args...).CombinedOutput()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return line
	}
	m.Kernel = first("uname", "-sr")
	m.FileSystem = first("stat", "-f", "-c", "%T", os.TempDir())
	m.Java = first("java", "-version")
	return m
}

// columns of each group's table, in order; those in lower are better when small.
var columns = map[string][]string{
	"produce":        {"MB/s", "records/s", "CPU ms/MB", "p50 ms", "p99 ms", "peak MiB"},
	"consume":        {"MB/s", "records/s", "CPU ms/MB", "peak MiB"},
	"latency":        {"p50 ms", "p99 ms", "p999 ms", "CPU us/record", "peak MiB"},
	"small requests": {"CPU us/request", "requests/s"},
	"memory":         {"idle MiB", "added MiB", "KiB/connection"},
	"start":          {"p50 ms", "p99 ms", "ms", "stop ms", "CPU ms", "RSS MiB", "open files"},
	"groups":         {"heartbeats/s", "CPU us/heartbeat", "CPU % of a core", "KiB/member", "commits/s", "CPU us/commit", "ms", "ms without offsets", "CPU ms", "CPU us/member", "offsets", "MiB"},
	"notice":         {"noticed ms, mean", "noticed ms, max", "all assigned ms, mean", "all assigned ms, max", "pause of a moved partition ms, mean", "pause ms, max"},
	"in turns":       {"MB/s", "CPU ms/MB", "p50 ms", "p99 ms"},
	"floor":          {"MB/s", "p50 ms", "p99 ms"},
}

var sections = []string{"produce", "in turns", "consume", "latency", "small requests", "groups", "notice", "start", "memory", "floor"}

var introductions = map[string]string{
	"produce":        "Full batches from one client, five requests in flight. `page cache`: no flush before the answer, on either side. `fsync`: every acknowledged batch is on the disk, on both sides.",
	"consume":        "One client reads what was written just before, from the page cache. It is woken when 256 KiB are there: on one machine it is the sender that pays for waking the reader, and for each segment that would be more than the rest.",
	"latency":        "One record per batch at a fixed rate, acks=all. Latency counts from when a record was due, so that a stall is not hidden.",
	"small requests": "Requests whose work is next to nothing, on four connections: one at a time, and five in flight as Kafka's clients have them by default. `floor` is not a broker: `bench/answer` reads a request and writes what Barnabas once answered to ApiVersions, which no server in Go can do for less on the same machine in the same minute.",
	"start":          "From exec to the first acknowledged record over a raw socket, and with many partitions from exec until each of them answers.",
	"memory":         "Resident memory of a broker nobody has used, and what a thousand silent connections add.",
	"groups":         "The group coordinator, over raw connections that do nothing else. `KiB/member` is what a member adds to the resident memory, its connection aside. `heartbeats/s` is what was sent and answered, of 33,333: fewer say that the broker's one CPU was full, or the machine busy with others.",
	"notice":         "A group of three real cooperative consumers, and a fourth joins. `noticed`: from its JoinGroup to the JoinGroup of each of the others. `all assigned`: to the last partition's new owner. `pause`: from the revocation of a partition that moves to its assignment; partitions that stay have none. Heartbeats every 3 s, Kafka's default.",
	"in turns":       "The same produce rows, but Barnabas, Kafka and a bare program take turns, and `Of the floor` is the median of Barnabas' turns by the median of the program's. The floor's MB/s with fsync is that of `bench/floor`: append a block, fdatasync, next block. Its CPU, and its MB/s without fsync, is that of `bench/receive`: take a block from a loopback socket, compute its CRC-32C, append it, with fsync fdatasync; it is warm for as long as the driver of the brokers is. `bench/floor` has the machine to itself; a broker shares its two CPUs with the driver that sends the records.",
	"floor":          "Not a broker: `bench/floor` appends a block and calls fdatasync, one file after the other, with the blocks that the fsync rows above bring to each partition. What a log that flushes each block by itself could do on this disk.",
}

func report(o options) error {
	files, err := filepath.Glob(filepath.Join(o.results, "*.json"))
	if err != nil {
		return err
	}
	byGroup := map[string][]*kept{}
	var newest *kept
	commits := map[string]bool{}
	for _, path := range files {
		k, err := load(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		byGroup[k.Group] = append(byGroup[k.Group], k)
		commits[k.Commit] = true
		if newest == nil || k.When.After(newest.When) {
			newest = k
		}
	}
	if newest == nil {
		return fmt.Errorf("no results in %s", o.results)
	}
	var b strings.Builder
	m := newest.Machine
	b.WriteString("# Benchmarks\n\nWritten by `make bench` from the files in `bench/results`; do not edit.\n\n")
	fmt.Fprintf(&b, "- Machine: %s, %d CPUs, %.1f GiB, %s, temporary files on %s; the driver shares it with the broker\n", m.CPU, m.CPUs, m.MemoryGiB, m.Kernel, m.FileSystem)
	fmt.Fprintf(&b, "- Beside: Apache Kafka %s, one KRaft node, heap 1 GiB, %s, warmed up before it is measured\n", newest.Kafka, m.Java)
	fmt.Fprintf(&b, "- Barnabas: commit %s, %s, CGO_ENABLED=0\n", strings.Join(sorted(commits), ", "), m.Go)
	b.WriteString("- CPU is the broker's user and system time; memory its resident peak in the measurement. Each cell is the median of the repetitions, with the\n" +
		"  least and the greatest in parentheses when there were several. The ratio is Barnabas' median to Kafka's.\n" +
		"- Before each produce, consume and latency measurement what the last one wrote is gone from the disk, and memory for what this one will write has been\n" +
		"  touched once: the host of a virtual machine takes free memory back, and the first touch afterwards costs milliseconds of CPU per MB, whoever makes it.\n" +
		"- Every row that was measured is here, also where Kafka is better.\n\n")
	for _, g := range sections {
		rows := byGroup[g]
		if len(rows) == 0 {
			continue
		}
		sort.Slice(rows, func(i, j int) bool { return natural(rows[i].Row) < natural(rows[j].Row) })
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", strings.ToUpper(g[:1])+g[1:], introductions[g])
		if g == "in turns" {
			b.WriteString("| Row | Value | Barnabas | Kafka | Floor | Of Kafka | Of the floor |\n|---|---|---|---|---|---|---|\n")
		} else {
			b.WriteString("| Row | Value | Barnabas | Kafka | Ratio |\n|---|---|---|---|---|\n")
		}
		for _, k := range rows {
			name := k.Row
			for _, c := range columns[g] {
				ours, theirs := series(k.Values["barnabas"], c), series(k.Values["kafka"], c)
				if len(ours) == 0 && len(theirs) == 0 {
					continue
				}
				if g == "in turns" {
					floor := series(k.Values[floorName], c)
					fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, c, cell(ours), cell(theirs), cell(floor), ratio(ours, theirs), ratio(ours, floor))
				} else {
					fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, c, cell(ours), cell(theirs), ratio(ours, theirs))
				}
				name = ""
			}
		}
		b.WriteString("\n")
		commands := map[string]bool{}
		for _, k := range rows {
			commands[k.Command] = true
		}
		b.WriteString("<details><summary>Commands</summary>\n\n")
		for _, c := range sorted(commands) {
			fmt.Fprintf(&b, "    %s\n", c)
		}
		b.WriteString("\n</details>\n\n")
	}
	text := strings.TrimRight(b.String(), "\n") + "\n"
	fmt.Print(text)
	if o.docs == "" {
		return nil
	}
	return os.WriteFile(o.docs, []byte(text), 0o644)
}

// natural pads numbers, so that 12 partitions come before 1000.
func natural(s string) string {
	var out strings.Builder
	digits := ""
	for _, r := range s + "\x00" {
		if r >= '0' && r <= '9' {
			digits += string(r)
			continue
		}
		if digits != "" {
			fmt.Fprintf(&out, "%09s", digits)
			digits = ""
		}
		out.WriteRune(r)
	}
	return out.String()
}

func series(samples []sampleJSON, column string) []float64 {
	var out []float64
	for _, s := range samples {
		if v, ok := s.Values[column]; ok {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func median(v []float64) float64 {
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

// ratio is that of the medians; empty where one is missing.
func ratio(ours, theirs []float64) string {
	if len(ours) == 0 || len(theirs) == 0 || median(theirs) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", median(ours)/median(theirs))
}

func cell(v []float64) string {
	switch len(v) {
	case 0:
		return "-"
	case 1:
		return number(v[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(median(v)), number(v[0]), number(v[len(v)-1]))
}

// number prints three significant digits without an exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func sorted(set map[string]bool) []string {
	var out []string
	for s := range set {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}
