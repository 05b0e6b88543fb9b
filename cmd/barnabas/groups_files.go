package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// exportedGroup is one group of an export: what `groups export -o json` prints and `groups import` reads.
type exportedGroup struct {
	Group   string           `json:"group"`
	Offsets []exportedOffset `json:"offsets"`
}

type exportedOffset struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	LeaderEpoch *int32 `json:"leader_epoch,omitempty"` // for the reader's eyes: an import commits without, as Kafka's tool does
	Metadata    string `json:"metadata,omitempty"`
}

// csvRow writes one row as kafka-consumer-groups.sh does: three columns without the group when the export is of one group, else four.
func csvRow(b *bytes.Buffer, group *string, o exportedOffset) {
	if group != nil {
		csvCell(b, *group)
		b.WriteByte(',')
	}
	csvCell(b, o.Topic)
	fmt.Fprintf(b, ",%d,%d\n", o.Partition, o.Offset)
}

// csvCell quotes when Kafka's writer does (Jackson's rules): text above 24 UTF-16 units, or with a backslash or anything up to the comma.
func csvCell(b *bytes.Buffer, s string) {
	units := 0
	quote := false
	for _, r := range s {
		units += max(1, utf16.RuneLen(r))
		quote = quote || r <= ',' || r == '\\'
	}
	if !quote && units <= 24 {
		b.WriteString(s)
		return
	}
	b.WriteByte('"')
	b.WriteString(strings.ReplaceAll(s, `"`, `""`))
	b.WriteByte('"')
}

// offsetsFileBytesMax bounds what an import reads: some two million partitions.
const offsetsFileBytesMax = 256 << 20

// readOffsetsFile reads an export in any of its forms: CSV with or without the group, JSON or YAML. "-" is in. only, when it is not
// empty, are the groups wanted; a file without groups needs exactly one.
func readOffsetsFile(in io.Reader, name string, only []string) ([]exportedGroup, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, wrap(err, "reading offsets")
		}
		defer f.Close()
		in = f
	} else {
		name = "stdin"
	}
	text, err := io.ReadAll(io.LimitReader(in, offsetsFileBytesMax+1))
	switch {
	case err != nil:
		return nil, wrap(err, "reading %s", name)
	case len(text) > offsetsFileBytesMax:
		return nil, failed(fmt.Sprintf("%s has more than %s", name, humanBytes(offsetsFileBytesMax)), "import it in parts")
	case !utf8.Valid(text):
		return nil, failed(name+" is not UTF-8 text", "it wants what `barnabas groups export` or kafka-consumer-groups.sh --export printed")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var groups []exportedGroup
	switch first := bytes.TrimSpace(text); {
	case len(first) == 0:
		return nil, failed(name+" holds no offsets", "it wants what `barnabas groups export` or kafka-consumer-groups.sh --export printed")
	case first[0] == '[' || first[0] == '{':
		groups, err = parseOffsetsJSON(first)
	case bytes.HasPrefix(first, []byte("- group:")):
		groups, err = parseOffsetsYAML(first)
	default:
		groups, err = parseOffsetsCSV(string(text), only)
	}
	if err != nil {
		var f *fault
		if errors.As(err, &f) {
			return nil, &fault{what: name + f.what, cure: f.cure, code: f.code}
		}
		return nil, failed(name+": "+err.Error(), "it wants what `barnabas groups export` printed")
	}
	return chooseGroups(groups, name, only)
}

// chooseGroups checks what was read and keeps the groups of only.
func chooseGroups(groups []exportedGroup, name string, only []string) ([]exportedGroup, error) {
	seen := map[string]bool{}
	for _, g := range groups {
		if seen[g.Group] {
			return nil, failed(fmt.Sprintf("%s: group %s twice", name, shownName(g.Group)), "leave one of them")
		}
		seen[g.Group] = true
		parts := map[string]map[int32]bool{}
		for _, o := range g.Offsets {
			switch {
			case o.Topic == "":
				return nil, failed(name+": an offset without a topic", "write topic, partition and offset")
			case o.Partition < 0 || o.Offset < 0:
				return nil, failed(fmt.Sprintf("%s: partition %d, offset %d of %s: below 0", name, o.Partition, o.Offset, shownName(o.Topic)), "correct the file")
			case parts[o.Topic][o.Partition]:
				return nil, failed(fmt.Sprintf("%s: partition %d of %s twice in group %s", name, o.Partition, shownName(o.Topic), shownName(g.Group)), "leave one of them")
			case parts[o.Topic] == nil:
				parts[o.Topic] = map[int32]bool{}
			}
			parts[o.Topic][o.Partition] = true
		}
	}
	if len(only) == 0 {
		return groups, nil
	}
	var out []exportedGroup
	for _, want := range only {
		i := slices.IndexFunc(groups, func(g exportedGroup) bool { return g.Group == want })
		if i < 0 {
			return nil, failed(fmt.Sprintf("%s holds no offsets of group %s", name, shownName(want)), "its groups: "+groupNamesOf(groups))
		}
		out = append(out, groups[i])
	}
	return out, nil
}

func groupNamesOf(groups []exportedGroup) string {
	var names []string
	for _, g := range groups {
		names = append(names, g.Group)
	}
	return cmp.Or(namesShown(names), "none")
}

func parseOffsetsJSON(text []byte) ([]exportedGroup, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var groups []exportedGroup
	var err error
	if text[0] == '{' { // one group alone, as a person would write it
		var g exportedGroup
		err = dec.Decode(&g)
		groups = []exportedGroup{g}
	} else {
		err = dec.Decode(&groups)
	}
	if err != nil {
		return nil, fmt.Errorf("not the JSON of an export: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the end of the JSON")
	}
	return groups, nil
}

// parseOffsetsYAML goes through JSON, so that both forms mean the same.
func parseOffsetsYAML(text []byte) ([]exportedGroup, error) {
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("not the YAML of an export: %w", err)
	}
	j, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("not the YAML of an export: %w", err)
	}
	return parseOffsetsJSON(j)
}

// parseOffsetsCSV reads rows of topic,partition,offset (for the one group of only) or group,topic,partition,offset. Kafka's reader takes a
// missing offset for 0; here it is an error, since an offset of 0 reads everything again.
func parseOffsetsCSV(text string, only []string) ([]exportedGroup, error) {
	var out []exportedGroup
	at := map[string]int{}
	columns := 0
	for line := 1; text != ""; {
		row, rest, lines, err := csvCells(text)
		here := line
		text, line = rest, line+lines
		bad := func(format string, args ...any) error {
			return failed(fmt.Sprintf(":%d: ", here)+fmt.Sprintf(format, args...), "a row is topic,partition,offset or group,topic,partition,offset")
		}
		if err != nil {
			return nil, bad("%v", err)
		}
		if len(row) == 1 && strings.TrimSpace(row[0]) == "" {
			continue // Kafka's tool ends its output with an empty line
		}
		if columns == 0 {
			columns = len(row)
		}
		if len(row) != columns || columns < 3 || columns > 4 {
			return nil, bad("%d columns", len(row))
		}
		group := ""
		if columns == 4 {
			group, row = row[0], row[1:]
		} else if len(only) == 1 {
			group = only[0]
		} else {
			return nil, failed(" does not name groups: its rows are topic,partition,offset", "name the one group that it is of")
		}
		partition, err := strconv.ParseInt(strings.TrimSpace(row[1]), 10, 32)
		if err != nil {
			return nil, bad("partition %q is not a number", row[1])
		}
		offset, err := strconv.ParseInt(strings.TrimSpace(row[2]), 10, 64)
		if err != nil {
			return nil, bad("offset %q is not a number", row[2])
		}
		i, ok := at[group]
		if !ok {
			i, at[group] = len(out), len(out)
			out = append(out, exportedGroup{Group: group})
		}
		out[i].Offsets = append(out[i].Offsets, exportedOffset{Topic: row[0], Partition: int32(partition), Offset: offset})
	}
	return out, nil
}

// csvCells cuts one row off: its cells, the rest, and how many lines it took. Only a quote at the start of a cell quotes; inside, ""
// is a quote, and lines may end.
func csvCells(text string) (cells []string, rest string, lines int, err error) {
	for {
		var cell string
		if strings.HasPrefix(text, `"`) {
			var b strings.Builder
			i := 1
			for {
				n := strings.IndexByte(text[i:], '"')
				if n < 0 {
					return nil, "", 0, errors.New("a quoted cell does not end")
				}
				b.WriteString(text[i : i+n])
				lines += strings.Count(text[i:i+n], "\n")
				i += n + 1
				if i >= len(text) || text[i] != '"' {
					break
				}
				b.WriteByte('"')
				i++
			}
			cell, text = b.String(), strings.TrimLeft(text[i:], " \t")
			if text != "" && !strings.HasPrefix(text, ",") && !strings.HasPrefix(text, "\n") && !strings.HasPrefix(text, "\r\n") {
				return nil, "", 0, errors.New("text behind a quoted cell")
			}
			text = strings.TrimPrefix(text, "\r")
		} else {
			n := strings.IndexAny(text, ",\n")
			if n < 0 {
				n = len(text)
			}
			cell, text = text[:n], text[n:]
			if text == "" || text[0] == '\n' {
				cell = strings.TrimSuffix(cell, "\r")
			}
		}
		cells = append(cells, cell)
		if text == "" {
			return cells, "", lines + 1, nil
		}
		end := text[0] == '\n'
		text = text[1:]
		if end {
			return cells, text, lines + 1, nil
		}
	}
}
