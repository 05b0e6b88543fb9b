package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
	"gopkg.in/yaml.v3"
)

// emit prints one answer: v with its documented field names for programs, or what draw makes of it for people.
func (a *app) emit(v any, draw func(w io.Writer)) error {
	var buf bytes.Buffer
	switch a.output {
	case "json":
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return wrap(err, "encoding the answer")
		}
		buf = *bytes.NewBuffer(escapeJSON(buf.Bytes()))
	case "yaml":
		if err := encodeYAML(&buf, v); err != nil {
			return wrap(err, "encoding the answer")
		}
	default:
		draw(&buf)
	}
	_, err := a.out.Write(buf.Bytes())
	return err
}

// encodeYAML goes through JSON so that names, order and omissions are the same in both forms.
func encodeYAML(w io.Writer, v any) error {
	j, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(escapeYAML(j), &doc); err != nil {
		return err
	}
	plain(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := cmp.Or(enc.Encode(&doc), enc.Close()); err != nil {
		return err
	}
	_, err = w.Write(escapeYAML(out.Bytes()))
	return err
}

// escapeJSON writes what a terminal would obey or hide, and YAML would refuse, as \u escapes: to a program both are the same text. The
// encoder itself escapes only what is below a blank. Such characters stand in strings and nowhere else.
func escapeJSON(j []byte) []byte {
	return escapeHidden(j, func(out []byte, r rune) []byte {
		hi, lo := utf16.EncodeRune(r)
		return fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
	})
}

// escapeYAML does so for YAML, whose \u does not come in pairs. plain has put quotes around every such string; JSON has them anyway.
func escapeYAML(y []byte) []byte {
	return escapeHidden(y, func(out []byte, r rune) []byte { return fmt.Appendf(out, `\U%08x`, r) })
}

func escapeHidden(text []byte, astral func([]byte, rune) []byte) []byte {
	if bytes.IndexFunc(text, hidden) < 0 {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for _, r := range string(text) {
		switch {
		case !hidden(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			out = astral(out, r)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func hidden(r rune) bool { return r > '~' && !unicode.IsPrint(r) }

// plain takes JSON's braces and quotes off; the encoder puts quotes back where a string would read as something else.
func plain(n *yaml.Node) {
	n.Style = 0
	switch {
	case n.Kind != yaml.ScalarNode:
	case strings.IndexFunc(n.Value, hidden) >= 0:
		n.Style = yaml.DoubleQuotedStyle
	case strings.Contains(n.Value, "\n"):
		n.Style = yaml.LiteralStyle
	}
	for _, c := range n.Content {
		plain(c)
	}
}

// table lines columns up: no borders, two blanks between, numbers to the right. Cells come as text and are made printable.
type table struct {
	head  []string
	right []bool
	rows  [][]string
}

// newTable takes column titles; a title that begins with '>' is a column of numbers.
func newTable(titles ...string) *table {
	t := &table{}
	for _, s := range titles {
		name, num := strings.CutPrefix(s, ">")
		t.head = append(t.head, name)
		t.right = append(t.right, num)
	}
	return t
}

// row adds one line. nil prints as "-", integers as they are, everything else with fmt.
func (t *table) row(cells ...any) {
	r := make([]string, len(t.head))
	for i := range r {
		if i < len(cells) {
			r[i] = cell(cells[i])
		}
	}
	t.rows = append(t.rows, r)
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		return printable(v)
	case *string:
		if v == nil {
			return "-"
		}
		return cell(*v)
	case *int64:
		if v == nil {
			return "-"
		}
		return strconv.FormatInt(*v, 10)
	}
	return printable(fmt.Sprint(v))
}

// draw prints the table; colour goes to the titles only, so that copies of the cells stay clean.
func (t *table) draw(w io.Writer, paint bool) {
	width := make([]int, len(t.head))
	for i, h := range t.head {
		width[i] = runewidth.StringWidth(h)
	}
	for _, r := range t.rows {
		for i, c := range r {
			width[i] = max(width[i], runewidth.StringWidth(c))
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		b.Reset()
		for i, c := range cells {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", max(0, width[i]-runewidth.StringWidth(c)))
			if t.right[i] {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
	}
	line(t.head)
	head := strings.TrimRight(b.String(), " ")
	if paint {
		head = "\x1b[1m" + head + "\x1b[0m"
	}
	fmt.Fprintln(w, head)
	for _, r := range t.rows {
		line(r)
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// title prints a heading between tables.
func (a *app) title(w io.Writer, format string, args ...any) {
	s := printable(fmt.Sprintf(format, args...))
	if a.paint {
		s = "\x1b[1;36m" + s + "\x1b[0m"
	}
	fmt.Fprintln(w, s)
}

// pairs prints "name  value" lines with the values lined up.
func pairs(w io.Writer, kv ...any) {
	width := 0
	for i := 0; i+1 < len(kv); i += 2 {
		width = max(width, runewidth.StringWidth(kv[i].(string)))
	}
	for i := 0; i+1 < len(kv); i += 2 {
		name := kv[i].(string)
		fmt.Fprintf(w, "%s%s  %s\n", name, strings.Repeat(" ", width-runewidth.StringWidth(name)), cell(kv[i+1]))
	}
}

// printable escapes what could move the cursor or hide text: brokers and files may hold anything.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && s[i] >= 0x80 && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// oneLine folds a message of several lines, as brokers send them, into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// humanBytes is a size for eyes: 1023 B, 1.5 KiB, 20.0 MiB. Negative is unknown.
func humanBytes(n int64) string {
	switch {
	case n < 0:
		return "-"
	case n < 1024:
		return strconv.FormatInt(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < 5 {
		f, i = f/1024, i+1
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + " " + "KMGTPE"[i:i+1] + "iB"
}

// humanCount groups digits: 12,345,678.
func humanCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func joinInts(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(id)))
	}
	return b.String()
}

// dropEmptyColumns leaves out columns in which every cell is "-"; those named in keep stay.
func (t *table) dropEmptyColumns(keep ...string) {
	for i := len(t.head) - 1; i > 0; i-- {
		empty := !slices.Contains(keep, t.head[i]) && !slices.ContainsFunc(t.rows, func(r []string) bool { return r[i] != "-" })
		if empty {
			t.head, t.right = slices.Delete(t.head, i, i+1), slices.Delete(t.right, i, i+1)
			for j := range t.rows {
				t.rows[j] = slices.Delete(t.rows[j], i, i+1)
			}
		}
	}
}
