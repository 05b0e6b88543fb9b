package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/observe/clientlog"
)

// explainLogs tells what the members' logs say.
func (a *app) explainLogs(files []string, f explainFlags, group string) error {
	config, err := readClientConfig(f.clientConfig)
	if err != nil {
		return err
	}
	if dup := duplicate(files); dup != "" {
		return usage(fmt.Sprintf("--log %s is named twice", dup), "name each log once")
	}
	var l clientlog.Log
	names := logNames(files)
	for i, file := range files {
		if err := a.addLog(&l, file, names[i]); err != nil {
			return err
		}
	}
	r := l.Report(clientlog.Given{Group: group, Config: config, RecordTime: f.recordTime})
	for _, s := range r.Sources {
		if s.Broken != "" {
			fmt.Fprintf(a.err, "note: %s: %s; what came before is used\n", printable(s.Name), printable(s.Broken))
		}
	}
	pick := []int{}
	switch {
	case f.id != "":
		i := slices.IndexFunc(r.Stories, func(s clientlog.Rebalance) bool { return s.ID == f.id })
		if i < 0 {
			return failed("no rebalance "+f.id+" in these logs", "see the ids with `barnabas explain --log ...`")
		}
		pick = append(pick, i)
	case f.all:
		for i := range r.Stories {
			pick = append(pick, i)
		}
	case len(r.Stories) > 0:
		pick = append(pick, r.Main())
	}
	if f.id != "" {
		r.Stories, pick = r.Stories[pick[0]:pick[0]+1], []int{0}
	}
	return a.emit(r, func(w io.Writer) { a.drawLogReport(w, r, pick) })
}

// drawLogReport prints the table of what happened and the stories picked. Every line is made printable: a log holds anybody's words.
func (a *app) drawLogReport(w io.Writer, r *clientlog.Report, pick []int) {
	lines, understood := 0, 0
	for _, s := range r.Sources {
		lines += s.Lines
		understood += s.Understood
	}
	if len(r.Stories) == 0 {
		fmt.Fprintf(w, "%s lines, %s of them about a group: no rebalance in them.\n", humanCount(int64(lines)), humanCount(int64(understood)))
		if understood == 0 {
			fmt.Fprintln(w, "What is understood: the logs of the Java client at INFO, of librdkafka (warnings, or debug=cgrp), of franz-go at info, and of sarama with its Logger set.")
		}
		return
	}
	if r.Undated {
		fmt.Fprintln(w, "Some lines carry no date: only their time of day counts.")
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "The oldest %s events are left out: there were more than fit.\n", humanCount(int64(r.Dropped)))
	}
	if len(r.Stories) > 1 {
		titles, rows := r.Table()
		from := 0
		const most = 50
		if len(rows) > most {
			from = len(rows) - most
			fmt.Fprintf(w, "The last %d of %s rebalances:\n", most, humanCount(int64(len(rows))))
		}
		t := newTable(titles...)
		for _, row := range rows[from:] {
			cells := make([]any, len(row))
			for i, c := range row {
				cells[i] = c
			}
			t.row(cells...)
		}
		t.dropEmptyColumns("WHAT")
		t.draw(w, a.paint)
		fmt.Fprintln(w)
	}
	for n, i := range pick {
		if n > 0 {
			fmt.Fprintln(w)
		}
		for j, line := range r.Lines(i) {
			switch {
			case j == 0:
				if len(r.Stories) > 1 {
					line = r.Stories[i].ID + ": " + line
				}
				a.title(w, "%s", line)
			default:
				fmt.Fprintln(w, printable(line))
			}
		}
	}
	if len(pick) < len(r.Stories) {
		fmt.Fprintln(w, "\n--all tells the others, too; --id ID tells one.")
	}
}

func (a *app) addLog(l *clientlog.Log, file, name string) error {
	if file == "-" {
		return tolerate(l.Add("stdin", bufio.NewReaderSize(a.in, 1<<16)))
	}
	in, err := os.Open(file)
	if err != nil {
		return wrap(err, "reading --log")
	}
	defer in.Close()
	if st, err := in.Stat(); err == nil && st.IsDir() {
		return usage(file+" is a folder", "name the files in it: --log "+filepath.Join(file, "*"))
	}
	return tolerate(l.Add(name, in))
}

// tolerate lets a log that breaks off pass: the report says so. A file that cannot be read at all is an error.
func tolerate(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return err
	}
	return nil
}

// logNames are the files' names without their folders, unless two would be the same.
func logNames(files []string) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = strings.TrimSuffix(filepath.Base(f), ".gz")
	}
	for i := range out {
		if slices.Contains(out[:i], out[i]) {
			return files
		}
	}
	return out
}

func duplicate(list []string) string {
	for i, s := range list {
		if slices.Contains(list[:i], s) {
			return s
		}
	}
	return ""
}

// readClientConfig reads each item as name=value, or else as a properties file. YAML's "name: value" lines, as Spring has them, are read as well.
func readClientConfig(items []string) (map[string]string, error) {
	out := map[string]string{}
	for _, item := range items {
		if k, v, ok := strings.Cut(item, "="); ok && !strings.ContainsAny(k, `/\`) {
			if err := setClientConfig(out, k, v, "--client-config"); err != nil {
				return nil, err
			}
			continue
		}
		b, err := os.ReadFile(item)
		if err != nil {
			return nil, wrap(err, "reading --client-config")
		}
		for n, line := range strings.Split(string(b), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || line[0] == '!' {
				continue
			}
			k, v, ok := strings.Cut(line, "=")
			if !ok {
				k, v, ok = strings.Cut(line, ":")
			}
			if !ok {
				continue
			}
			if err := setClientConfig(out, k, v, fmt.Sprintf("%s:%d", item, n+1)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// clientNumbers are the settings that explain computes with.
var clientNumbers = []string{"max.poll.records", "max.poll.interval.ms", "session.timeout.ms", "heartbeat.interval.ms"}

// setClientConfig takes a setting under Kafka's name, with or without the prefixes that frameworks put before it.
func setClientConfig(out map[string]string, k, v, where string) error {
	k, v = strings.Trim(strings.TrimSpace(k), `"'`), strings.Trim(strings.TrimSpace(v), `"'`)
	for _, prefix := range []string{"spring.kafka.consumer.properties.", "spring.kafka.properties.", "spring.kafka.consumer.", "consumer."} {
		k = strings.TrimPrefix(k, prefix)
	}
	switch k {
	case "max-poll-records":
		k = "max.poll.records"
	case "heartbeat-interval":
		k = "heartbeat.interval.ms"
	}
	if !slices.Contains(clientNumbers, k) {
		if k != "" {
			out[k] = v
		}
		return nil
	}
	if _, err := parseMillisOrCount(v); err != nil {
		return usage(fmt.Sprintf("%s: %s=%q is not a whole number above 0", where, k, v), "write it as Kafka takes it: --client-config "+k+"=500")
	}
	out[k] = v
	return nil
}

func parseMillisOrCount(v string) (int64, error) {
	var n int64
	if _, err := fmt.Sscanf(v, "%d", &n); err != nil || n <= 0 || fmt.Sprint(n) != v {
		return 0, errors.New("not a number")
	}
	return n, nil
}
