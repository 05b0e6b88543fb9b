package clientlog

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// envelope is a line without what its surroundings put around it.
type envelope struct {
	text string
	at   moment
	// fields are the values of a structured line (JSON), for clients that log keys and values; nil for plain text.
	fields map[string]string
}

// unwrap takes off, from the outside in, what container engines, journald, log collectors and logging frameworks put before a message. Of
// several times it keeps the one that says most, and of equals the outermost: that one was written by the machine.
func unwrap(s string) envelope {
	e := envelope{text: s}
	for range 6 { // no real line is wrapped more often
		before := e.text
		e.peel()
		if e.text == before {
			break
		}
	}
	return e
}

func (e *envelope) saw(m moment) {
	if m.clock > e.at.clock {
		e.at = m
	}
}

// peel takes off one layer.
func (e *envelope) peel() {
	s := strings.TrimLeft(e.text, " \t\ufeff")
	s = stripEscapes(s)
	switch {
	case strings.HasPrefix(s, "{") && strings.HasSuffix(strings.TrimRight(s, " \t"), "}"):
		if e.peelJSON(s) {
			return
		}
	case strings.HasPrefix(s, "[pod/"): // kubectl logs --prefix
		if i := strings.Index(s, "] "); i > 0 {
			e.text = s[i+2:]
			return
		}
	}
	// docker compose: "service-1  | message"
	if i := strings.Index(s, " | "); i > 0 && i < 64 && !strings.ContainsAny(strings.TrimRight(s[:i], " "), " \t[]{}()=,:;\"") {
		e.text = s[i+3:]
		return
	}
	if m, rest, ok := leadingTime(s); ok {
		e.saw(m)
		rest = strings.TrimLeft(rest, " \t")
		// CRI: "time stdout F message"
		for _, stream := range []string{"stdout ", "stderr "} {
			if r, ok := strings.CutPrefix(rest, stream); ok && len(r) > 2 && (r[0] == 'F' || r[0] == 'P') && r[1] == ' ' {
				rest = r[2:]
			}
		}
		e.text = stripUnit(rest)
		return
	}
	// logfmt, as Go's slog writes it
	if r, ok := strings.CutPrefix(s, "time="); ok {
		if m, rest, ok := leadingTime(strings.TrimPrefix(r, "\"")); ok {
			e.saw(m)
			e.text = strings.TrimLeft(rest, "\" ")
			return
		}
	}
	// slog through Go's standard logger, and bracketed names of loggers: "[Sarama] 2026/01/01 ..."
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i > 0 && i < 40 {
			inner := strings.TrimSpace(s[i+1:])
			if m, rest, ok := leadingTime(inner); ok {
				e.saw(m)
				e.text = s[:i+1] + " " + strings.TrimLeft(rest, " ")
				return
			}
		}
	}
	e.text = s
}

// peelJSON takes a message out of a JSON line: Docker's json-file, journald's export, Logback's and zap's encoders, slog.
func (e *envelope) peelJSON(s string) bool {
	var raw map[string]any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	if d.Decode(&raw) != nil {
		return false
	}
	get := func(names ...string) string {
		for _, n := range names {
			switch v := raw[n].(type) {
			case string:
				return v
			case json.Number:
				return v.String()
			}
		}
		return ""
	}
	msg := get("log", "message", "msg", "MESSAGE", "@message", "textPayload")
	if msg == "" {
		return false
	}
	if us := get("__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"); us != "" {
		if n, err := strconv.ParseInt(us, 10, 64); err == nil && n > 0 && n < 1<<53 {
			e.saw(moment{at: vtime.FromTime(time.UnixMicro(n)), clock: zoned, text: time.UnixMicro(n).UTC().Format(time.RFC3339Nano)})
		}
	}
	if t := get("time", "@timestamp", "timestamp", "ts", "asctime"); t != "" {
		if m, _, ok := leadingTime(t); ok {
			e.saw(m)
		} else if f, err := strconv.ParseFloat(t, 64); err == nil && f > 1e8 && f < 9e12 {
			if f < 1e11 { // seconds
				f *= 1000
			}
			at := time.UnixMilli(int64(f))
			e.saw(moment{at: vtime.FromTime(at), clock: zoned, text: at.UTC().Format(time.RFC3339Nano)})
		}
	}
	e.fields = map[string]string{}
	for k := range raw { // any order: it goes into a map
		if v := get(k); v != "" && len(e.fields) < 64 {
			e.fields[k] = v
		}
	}
	e.text = strings.TrimRight(msg, "\r\n")
	return true
}

// stripUnit takes off "host unit[pid]: " as journald and syslog write it.
func stripUnit(s string) string {
	i := strings.Index(s, "]: ")
	if i < 0 || i > 120 {
		return s
	}
	open := strings.LastIndexByte(s[:i], '[')
	if open <= 0 || number(s[open+1:i]) < 0 || strings.Trim(s[open+1:i], "0123456789") != "" {
		return s
	}
	head := s[:open]
	if fields := strings.Fields(head); len(fields) == 0 || len(fields) > 2 || strings.ContainsAny(head, "[]{}()=\"") {
		return s
	}
	return s[i+3:]
}

// stripEscapes takes terminal colours out, which some logging frameworks write into files.
func stripEscapes(s string) string {
	if !strings.Contains(s, "\x1b[") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[' {
			j := i + 2
			for j < len(s) && j < i+16 && (s[j] >= '0' && s[j] <= '9' || s[j] == ';') {
				j++
			}
			if j < len(s) && s[j] == 'm' {
				i = j
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// leadingTime reads a time at the beginning of s in the forms that logs use, in brackets or bare. rest is what follows it.
func leadingTime(s string) (m moment, rest string, ok bool) {
	bracket := strings.HasPrefix(s, "[")
	t := strings.TrimPrefix(s, "[")
	m, rest, ok = bareTime(t)
	if !ok {
		return m, s, false
	}
	if bracket {
		if !strings.HasPrefix(rest, "]") {
			return m, s, false
		}
		rest = rest[1:]
	}
	return m, rest, true
}

func digits(s string, n int) bool {
	if len(s) < n {
		return false
	}
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func bareTime(s string) (moment, string, bool) {
	switch {
	case digits(s, 4) && len(s) >= 19 && (s[4] == '-' || s[4] == '/') && s[7] == s[4]: // 2026-01-31T12:00:00.123+0100, 2026/01/31 12:00:00
		if (s[10] != 'T' && s[10] != ' ') || !digits(s[5:], 2) || !digits(s[8:], 2) {
			return moment{}, s, false
		}
		nanos, n, ok := clockTime(s[11:])
		if !ok {
			return moment{}, s, false
		}
		day, err := time.Parse("2006-01-02", s[:4]+"-"+s[5:7]+"-"+s[8:10])
		if err != nil || day.Year() < 1971 || day.Year() > 2200 {
			return moment{}, s, false
		}
		n += 11
		at, c := vtime.FromTime(day).Add(time.Duration(nanos)), dated
		if off, k, ok := zone(s[n:]); ok {
			at, c, n = at.Add(-off), zoned, n+k
		}
		return moment{at, c, s[:n]}, s[n:], true
	case digits(s, 2) && len(s) >= 8 && s[2] == ':': // 12:00:00.123
		nanos, n, ok := clockTime(s)
		if !ok {
			return moment{}, s, false
		}
		return moment{vtime.Instant(nanos), timeOfDay, s[:n]}, s[n:], true
	case len(s) >= 15 && s[3] == ' ' && s[6] == ' ': // Jan 31 12:00:00, as journald writes it: no year, so only the time counts
		if _, err := time.Parse("Jan _2", s[:6]); err != nil {
			return moment{}, s, false
		}
		nanos, n, ok := clockTime(s[7:])
		if !ok {
			return moment{}, s, false
		}
		return moment{vtime.Instant(nanos), timeOfDay, s[:7+n]}, s[7+n:], true
	}
	return moment{}, s, false
}

// clockTime reads 12:00:00 with an optional fraction of up to nine digits: nanoseconds since midnight, and how many bytes it took.
func clockTime(s string) (nanos int64, n int, ok bool) {
	if len(s) < 8 || !digits(s, 2) || s[2] != ':' || !digits(s[3:], 2) || s[5] != ':' || !digits(s[6:], 2) {
		return 0, 0, false
	}
	h, min, sec := number(s[:2]), number(s[3:5]), number(s[6:8])
	if h > 23 || min > 59 || sec > 60 {
		return 0, 0, false
	}
	nanos = ((h*60+min)*60 + sec) * 1e9
	n = 8
	if len(s) > 9 && (s[8] == '.' || s[8] == ',') && s[9] >= '0' && s[9] <= '9' {
		unit := int64(1e8)
		for n = 9; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
			nanos += int64(s[n]-'0') * unit
			unit /= 10
		}
	}
	return nanos, n, true
}

// zone reads Z, +02:00 or +0200.
func zone(s string) (time.Duration, int, bool) {
	if strings.HasPrefix(s, "Z") {
		return 0, 1, true
	}
	if len(s) < 5 || s[0] != '+' && s[0] != '-' || !digits(s[1:], 2) {
		return 0, 0, false
	}
	rest, n := s[3:], 5
	if rest[0] == ':' {
		rest, n = rest[1:], 6
	}
	if !digits(rest, 2) {
		return 0, 0, false
	}
	off := time.Duration(number(s[1:3]))*time.Hour + time.Duration(number(rest[:2]))*time.Minute
	if off > 18*time.Hour {
		return 0, 0, false
	}
	if s[0] == '-' {
		off = -off
	}
	return off, n, true
}

func instantDays(n int) vtime.Instant { return vtime.Instant(int64(n) * 24 * int64(time.Hour)) }

// Unwrap takes off a line of any log what surroundings put before its message, and gives its time: the zero Instant if it names none, and
// whether it names its zone as well. It is for readers of other logs than the clients'.
func Unwrap(line string) (message string, at vtime.Instant, hasZone bool) {
	e := unwrap(cut(line, maxLine))
	if e.at.clock < dated {
		return e.text, 0, false
	}
	return e.text, e.at.at, e.at.clock == zoned
}
