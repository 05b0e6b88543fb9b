package sim

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The fields of a scenario, read from the tags of its types.

// field is one field of one section.
type field struct {
	name, doc, def, min, max string
	need                     bool // it has no default, and nothing works without it
	oneOf                    []string
	index                    int
	typ                      reflect.Type
}

// fieldsOf lists the fields of a section in the order of declaration.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		g := field{name: f.Tag.Get("yaml"), doc: f.Tag.Get("doc"), def: f.Tag.Get("default"), min: f.Tag.Get("min"), max: f.Tag.Get("max"), need: f.Tag.Get("need") != "", index: i, typ: f.Type}
		if s := f.Tag.Get("oneof"); s != "" {
			g.oneOf = strings.Fields(s)
		}
		out = append(out, g)
	}
	return out
}

var (
	spanType   = reflect.TypeFor[Span]()
	millisType = reflect.TypeFor[Millis]()
	rateType   = reflect.TypeFor[Rate]()
	workType   = reflect.TypeFor[Work]()
)

// isSection reports whether a value of the type has fields of its own.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && t != workType }

// withDefaults is a section in which every field has its default.
func withDefaults[T any]() (v T) {
	setDefaults(reflect.ValueOf(&v).Elem())
	return v
}

func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		switch {
		case isSection(f.typ):
			setDefaults(v.Field(f.index))
		case f.def != "":
			if err := f.set(v.Field(f.index), f.def); err != nil {
				panic(fmt.Sprintf("sim: the default of %s: %v", f.name, err))
			}
		}
	}
}

// set parses a scalar into the field and checks it against its bounds.
func (f field) set(v reflect.Value, text string) error {
	text = strings.TrimSpace(text)
	if len(f.oneOf) > 0 {
		words := []string{text}
		if f.typ.Kind() == reflect.Slice {
			words = splitList(text)
			if len(words) == 0 {
				return errors.New("it is empty; it takes " + orList(f.oneOf))
			}
		}
		for i, w := range words {
			if !slices.Contains(f.oneOf, w) {
				return fmt.Errorf("it takes %s, not %q", orList(f.oneOf), w)
			}
			if slices.Contains(words[:i], w) {
				return fmt.Errorf("%q is in it twice", w)
			}
		}
	}
	switch {
	case f.typ == spanType:
		return f.setNumber(v, text, parseSpan)
	case f.typ == millisType:
		return f.setNumber(v, text, parseMillis)
	case f.typ == rateType:
		return f.setNumber(v, text, parseRate)
	case f.typ == workType:
		w, err := parseWork(text)
		if err == nil {
			v.Set(reflect.ValueOf(w))
		}
		return err
	case f.typ.Kind() == reflect.Int64:
		return f.setNumber(v, text, parseWhole)
	case f.typ.Kind() == reflect.Bool:
		switch text {
		case "true", "True", "TRUE", "false", "False", "FALSE": // as YAML has them
			v.SetBool(strings.EqualFold(text, "true"))
			return nil
		}
		return fmt.Errorf("it is true or false, not %q", text)
	case f.typ.Kind() == reflect.String:
		v.SetString(text)
		return nil
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.String:
		v.Set(reflect.ValueOf(splitList(text)))
		return nil
	}
	return errors.New("it is not a single value")
}

func (f field) setNumber(v reflect.Value, text string, parse func(string) (int64, error)) error {
	n, err := parse(text)
	if err != nil {
		return err
	}
	bound := func(s string) int64 {
		b, err := parse(s)
		if err != nil {
			panic(fmt.Sprintf("sim: a bound of %s: %v", f.name, err))
		}
		return b
	}
	lowest, least := int64(0), "0"
	if f.min != "" {
		lowest, least = bound(f.min), f.min
	}
	if n < lowest {
		return fmt.Errorf("%s is too small; the least is %s", text, least)
	}
	if f.max != "" && n > bound(f.max) {
		return fmt.Errorf("%s is too large; the most is %s", text, f.max)
	}
	v.SetInt(n)
	return nil
}

func parseWhole(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func parseMillis(s string) (int64, error) {
	n, err := parseWhole(s)
	if err != nil {
		return 0, fmt.Errorf("%w of milliseconds", err)
	}
	if n > math.MaxInt64/int64(time.Millisecond) || n < 0 {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return n * int64(time.Millisecond), nil
}

func parseSpan(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if s == "0" {
			return 0, nil
		}
		return 0, fmt.Errorf("%q is not a duration; write 500ms, 10s, 1m30s or 2h", s)
	}
	return int64(d), nil
}

// parseRate reads a decimal number of at most six decimals.
func parseRate(s string) (int64, error) {
	whole, frac, dot := strings.Cut(s, ".")
	if whole == "" && dot {
		whole = "0"
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/2_000_000 || len(frac) > 6 || dot && frac == "" {
		return 0, fmt.Errorf("%q is not a number from 0 up, with at most six decimals", s)
	}
	micro := int64(0)
	if dot {
		if micro, err = strconv.ParseInt((frac + "000000")[:6], 10, 64); err != nil || micro < 0 {
			return 0, fmt.Errorf("%q is not a number from 0 up, with at most six decimals", s)
		}
	}
	return n*1_000_000 + micro, nil
}

// workMax is the longest work on one record.
const workMax = 24 * time.Hour

func parseWork(s string) (Work, error) {
	bad := fmt.Errorf("%q is not a time per record; write 5ms, uniform(1ms, 5ms) or exponential(2ms), of at most 24h", s)
	span := func(s string) (time.Duration, bool) {
		n, err := parseSpan(strings.TrimSpace(s))
		return time.Duration(n), err == nil && n >= 0 && time.Duration(n) <= workMax
	}
	name, rest, call := strings.Cut(s, "(")
	if !call {
		d, ok := span(s)
		if !ok {
			return Work{}, bad
		}
		return Work{Kind: constant, Min: d, Max: d}, nil
	}
	args, closed := strings.CutSuffix(strings.TrimSpace(rest), ")")
	if !closed {
		return Work{}, bad
	}
	switch strings.TrimSpace(name) {
	case "uniform":
		a, b, two := strings.Cut(args, ",")
		lo, ok := span(a)
		hi, ok2 := span(b)
		if !two || !ok || !ok2 || hi < lo {
			return Work{}, bad
		}
		return Work{Kind: uniform, Min: lo, Max: hi}, nil
	case "exponential":
		d, ok := span(args)
		if !ok {
			return Work{}, bad
		}
		return Work{Kind: exponential, Min: d, Max: d}, nil
	}
	return Work{}, bad
}

// String is how a file says it.
func (w Work) String() string {
	switch w.Kind {
	case uniform:
		return fmt.Sprintf("uniform(%v, %v)", w.Min, w.Max)
	case exponential:
		return fmt.Sprintf("exponential(%v)", w.Min)
	}
	return w.Min.String()
}

// String is how a file says it.
func (r Rate) String() string {
	s := fmt.Sprintf("%d.%06d", r/1_000_000, r%1_000_000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func splitList(s string) (out []string) {
	for part := range strings.SplitSeq(strings.Trim(s, "[]"), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// orList is "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// nearest is the name that somebody may have meant, or "".
func nearest(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	if len(name) > 60 {
		return ""
	}
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters to change, drop or add.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
