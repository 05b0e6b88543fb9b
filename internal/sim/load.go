package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FieldError is a fault of a scenario: where it is and what is wrong.
type FieldError struct {
	File  string // "" for a setting that comes from elsewhere, such as --set
	Line  int    // 0 where no line is at fault
	Field string // "members.session.timeout.ms"
	What  string
}

func (e *FieldError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Field != "" {
		b.WriteString(plain(e.Field) + ": ")
	}
	return b.String() + plain(e.What)
}

// plain is a text that may hold anything from a file as a line for people: without what a terminal acts on, and not a megabyte long.
func plain(s string) string {
	const most, head, tail = 400, 250, 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:head], "") + " ... " + strings.ToValidUTF8(s[len(s)-tail:], "")
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// Load reads a scenario from the text of a YAML file and checks it. The error is the first fault, a *FieldError.
func Load(file string, text []byte, set ...Override) (*Scenario, error) {
	if len(text) > fileBytesMax {
		return nil, &FieldError{File: file, What: fmt.Sprintf("the file is too large; a scenario has at most %d bytes", fileBytesMax)}
	}
	var doc, more yaml.Node
	in := &byLine{rest: text}
	docs := yaml.NewDecoder(in)
	err := docs.Decode(&doc)
	if err == nil {
		if err = docs.Decode(&more); err == nil {
			return nil, &FieldError{File: file, Line: more.Line, What: "a second document begins here; a scenario is one"}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		what := strings.TrimPrefix(err.Error(), "yaml: ")
		line := 0
		if rest, ok := strings.CutPrefix(what, "line "); ok {
			number, message, _ := strings.Cut(rest, ": ")
			if n, err := strconv.Atoi(number); err == nil {
				line, what = n, message
			}
		}
		if line == 0 { // control characters, unknown anchors and what is wrong with the first line come without one
			line = in.faultyLine(text, what)
		}
		return nil, &FieldError{File: file, Line: line, What: "not YAML: " + what}
	}
	s := withDefaults[Scenario]()
	s.file, s.lines = file, map[string]int{}
	if len(doc.Content) == 0 {
		return nil, &FieldError{File: file, What: "the file is empty; see docs/simulate.md for what a scenario looks like"}
	}
	if err := s.section(doc.Content[0], reflect.ValueOf(&s).Elem(), ""); err != nil {
		return nil, err
	}
	if len(s.Topics) == 0 {
		s.Topics = []Topic{withDefaults[Topic]()}
	}
	if len(s.Members) == 0 {
		s.Members = []Members{withDefaults[Members]()}
	}
	for i, e := range s.Events {
		if err := s.checkWords(e, fmt.Sprintf("events[%d]", i+1)); err != nil {
			return nil, err
		}
	}
	if s.Name == "" {
		s.Name = strings.TrimSuffix(file[strings.LastIndexAny(file, `/\\`)+1:], ".yaml")
	}
	if err := s.setAll(set); err != nil {
		return nil, err
	}
	return &s, s.check()
}

// byLine gives a text a line at a time, and counts them.
type byLine struct {
	rest []byte
	line int  // of the last that was given, from 1
	part bool // of that
}

func (r *byLine) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if !r.part {
		r.line++
	}
	n := len(b)
	if end := bytes.IndexByte(r.rest, '\n'); end >= 0 {
		n = min(n, end+1)
	}
	n = copy(b[:n], r.rest)
	r.part = r.rest[n-1] != '\n'
	r.rest = r.rest[n:]
	return n, nil
}

// faultyLine is where a fault is that the parser does not tell the line of, by how far it has read.
func (r *byLine) faultyLine(text []byte, fault string) int {
	name, alias := strings.CutPrefix(fault, "unknown anchor '")
	switch {
	case alias: // it may have read on, to see what the alias is part of
		name, _, _ = strings.Cut(name, "'")
		before := text[:len(text)-len(r.rest)]
		for line := r.line; line > 1; line-- {
			last := 1 + bytes.LastIndexByte(before[:max(0, len(before)-1)], '\n')
			if bytes.Contains(before[last:], []byte("*"+name)) {
				return line
			}
			before = before[:last]
		}
		return 1
	case strings.Contains(fault, "control characters"), strings.Contains(fault, "UTF"), strings.Contains(fault, "surrogate"), strings.Contains(fault, "Unicode"):
		return max(1, r.line) // it is of these bytes
	}
	return 1 // the parser counts from 0, and leaves 0 out
}

func (s *Scenario) fault(line int, path, format string, args ...any) error {
	return &FieldError{File: s.file, Line: line, Field: path, What: fmt.Sprintf(format, args...)}
}

// section reads a mapping into a struct of fields.
func (s *Scenario) section(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return s.fault(n.Line, path, "want name: value lines here")
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := key.Value
		if path != "" {
			at = path + "." + key.Value
		}
		k := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if k < 0 {
			what := "there is no such field"
			var names []string
			for _, f := range fields {
				names = append(names, f.name)
			}
			if near := nearest(key.Value, names); near != "" {
				what += "; did you mean " + near + "?"
			}
			return s.fault(key.Line, at, "%s", what)
		}
		if seen[key.Value] {
			return s.fault(key.Line, at, "it is given twice")
		}
		seen[key.Value] = true
		s.lines[at] = key.Line
		if err := s.value(value, v.Field(fields[k].index), fields[k], at); err != nil {
			return err
		}
	}
	return nil
}

// value reads one field.
func (s *Scenario) value(n *yaml.Node, v reflect.Value, f field, path string) error {
	t := f.typ
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return s.fault(n.Line, path, "anchors and aliases are not understood here; write the value out")
	case isSection(t):
		return s.section(n, v, path)
	case t == reflect.TypeFor[[]Override]():
		if n.Kind != yaml.MappingNode {
			return s.fault(n.Line, path, "want name: value lines here")
		}
		var list []Override
		for i := 0; i+1 < len(n.Content); i += 2 {
			value := n.Content[i+1]
			text := value.Value
			if value.Kind == yaml.SequenceNode {
				var words []string
				for _, c := range value.Content {
					words = append(words, c.Value)
				}
				text = strings.Join(words, ",")
			} else if value.Kind != yaml.ScalarNode {
				return s.fault(value.Line, path+"."+n.Content[i].Value, "it is not a single value")
			}
			list = append(list, Override{n.Content[i].Value, text})
		}
		v.Set(reflect.ValueOf(list))
		return nil
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		if n.Kind != yaml.SequenceNode {
			return s.fault(n.Line, path, "want a list here: lines that begin with '-'")
		}
		if most := listMax[path]; len(n.Content) > most {
			return s.fault(n.Line, path, "the list has %d entries; the most is %d", len(n.Content), most)
		}
		out := reflect.MakeSlice(t, len(n.Content), len(n.Content))
		for i, c := range n.Content {
			setDefaults(out.Index(i))
			at := fmt.Sprintf("%s[%d]", path, i+1)
			s.lines[at] = c.Line
			if err := s.section(c, out.Index(i), at); err != nil {
				return err
			}
		}
		v.Set(out)
		return nil
	}
	text := n.Value
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		var words []string
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode || strings.Contains(c.Value, ",") {
				return s.fault(c.Line, path, "want a list of names")
			}
			words = append(words, c.Value)
		}
		text = strings.Join(words, ",")
	case n.Kind != yaml.ScalarNode:
		return s.fault(n.Line, path, "it is not a single value")
	}
	if err := f.set(v, text); err != nil {
		return s.fault(n.Line, path, "%v", err)
	}
	return nil
}

// setAll changes settings. Those of an event have to be such as it looks at, when all are changed.
func (s *Scenario) setAll(set []Override) error {
	for _, o := range set {
		if err := s.set(o); err != nil {
			return err
		}
	}
	for _, o := range set {
		name, ok := strings.CutPrefix(o.Name, "events.")
		if !ok {
			continue
		}
		events := s.Events
		if number, rest, _ := strings.Cut(name, "."); rest != "" {
			if n, err := strconv.Atoi(number); err == nil {
				events, name = s.Events[n-1:n], rest
			}
		}
		if !slices.ContainsFunc(events, func(e Event) bool { return e.looksAt(name) }) {
			return &FieldError{Field: o.Name, What: events[0].blind()}
		}
	}
	return nil
}

// set changes a setting, as --set does. The name is that of a field, such as max.poll.records, and counts wherever a section has it, but for
// name, which is the scenario's own; or it names the section too, as in topics.partitions, members.2.count or events.1.down. Check the scenario
// afterwards.
func (s *Scenario) set(o Override) error {
	fault := func(format string, args ...any) error {
		return &FieldError{Field: o.Name, What: fmt.Sprintf(format, args...)}
	}
	root := reflect.ValueOf(s).Elem()
	found := 0
	apply := func(v reflect.Value, name string) error {
		for _, f := range fieldsOf(v.Type()) {
			if f.name != name || isSection(f.typ) || f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct {
				continue
			}
			found++
			if err := f.set(v.Field(f.index), o.Value); err != nil {
				return fault("%v", err)
			}
		}
		return nil
	}
	for _, f := range fieldsOf(root.Type()) {
		v := root.Field(f.index)
		name, qualified := strings.CutPrefix(o.Name, f.name+".")
		switch {
		case isSection(f.typ):
			if err := apply(v, name); err != nil {
				return err
			}
		case f.typ.Kind() == reflect.Slice && isSection(f.typ.Elem()):
			which := 0
			if qualified {
				number, rest, _ := strings.Cut(name, ".")
				if n, err := strconv.Atoi(number); err == nil {
					if n < 1 || n > v.Len() {
						return fault("%s has %d entries, counted from 1", f.name, v.Len())
					}
					which, name = n, rest
				}
			} else if f.name == "events" || f.name == "compare" || name == "name" {
				continue // words such as at, to and name are too short to stand alone
			}
			for i := range v.Len() {
				if which == 0 || which == i+1 {
					if err := apply(v.Index(i), name); err != nil {
						return err
					}
				}
			}
		}
	}
	if err := apply(root, o.Name); err != nil {
		return err
	}
	if found == 0 {
		what := "there is no such setting"
		if near := nearest(o.Name, settingNames()); near != "" {
			what += "; did you mean " + near + "?"
		}
		return fault("%s", what)
	}
	return nil
}

// settingNames is every name that Set takes alone.
func settingNames() []string {
	names := map[string]bool{}
	for _, f := range fieldsOf(reflect.TypeFor[Scenario]()) {
		switch {
		case isSection(f.typ):
			for _, g := range fieldsOf(f.typ) {
				names[g.name] = true
			}
		case f.typ.Kind() == reflect.Slice:
			if f.name == "topics" || f.name == "members" {
				for _, g := range fieldsOf(f.typ.Elem()) {
					names[g.name] = true
				}
			}
		default:
			names[f.name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// clone is a copy that shares nothing that Set changes.
func (s *Scenario) clone() *Scenario {
	c := *s
	c.Topics, c.Members, c.Events, c.Compare = slices.Clone(s.Topics), slices.Clone(s.Members), slices.Clone(s.Events), slices.Clone(s.Compare)
	return &c
}

// With is a copy with settings changed, checked.
func (s *Scenario) With(set ...Override) (*Scenario, error) {
	c := s.clone()
	if err := c.setAll(set); err != nil {
		return nil, err
	}
	return c, c.check()
}
