// Command floor is the least that a durable log can do: append a block, fdatasync, next block. What a broker that flushes before it answers
// reaches on the same disk in the same minute is measured against it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

func main() {
	dir := flag.String("dir", ".", "directory on the disk in question")
	block := flag.Int("block", 1_000_012, "bytes appended before each flush")
	files := flag.Int("files", 1, "files, appended to in turn")
	last := flag.Duration("duration", 5*time.Second, "how long")
	flag.Parse()
	if err := run(*dir, *block, *files, *last); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(dir string, block, files int, last time.Duration) error {
	var open []*os.File
	for i := range files {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("floor-%d", i)), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		open = append(open, f)
	}
	data := make([]byte, block)
	for i := range data {
		data[i] = byte(i * 2654435761 >> 7)
	}
	var took []float64
	began := time.Now()
	for n := 0; time.Since(began) < last; n++ {
		start := time.Now()
		f := open[n%files]
		if _, err := f.Write(data); err != nil {
			return err
		}
		if err := flush(f); err != nil {
			return err
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	seconds := time.Since(began).Seconds()
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"kind": "floor", "block_bytes": block, "files": files, "flushes": len(took),
		"elapsed_seconds": seconds, "megabytes_per_second": float64(len(took)*block) / 1e6 / seconds,
		"flush_ms": map[string]float64{"p50": took[len(took)/2], "p99": took[len(took)*99/100], "max": took[len(took)-1]}})
}
