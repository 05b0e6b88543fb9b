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
	"time"

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
		b.WriteString(e.Field + ": ")
	}
	return b.String() + e.What
}

// Load reads a scenario from the text of a YAML file and checks it. The error is the first fault, a *FieldError.
func Load(file string, text []byte, set ...Override) (*Scenario, error) {
	if len(text) > fileBytesMax {
		return nil, &FieldError{File: file, What: fmt.Sprintf("the file is too large; a scenario has at most %d bytes", fileBytesMax)}
	}
	var doc, more yaml.Node
	docs := yaml.NewDecoder(bytes.NewReader(text))
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
	for _, o := range set {
		if err := s.Set(o); err != nil {
			return nil, err
		}
	}
	return &s, s.check()
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

// Set changes a setting, as --set does. The name is that of a field, such as max.poll.records, and counts wherever a section has it; or it
// names the section too, as in topics.partitions, members.2.count or events.1.down. Check the scenario afterwards.
func (s *Scenario) Set(o Override) error {
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
						return fault("there are %d of %s", v.Len(), f.name)
					}
					which, name = n, rest
				}
			} else if f.name == "events" || f.name == "compare" {
				continue // their words, such as at and to, are too short to stand alone
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
	for _, o := range set {
		if err := c.Set(o); err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// check looks at what single fields cannot tell.
func (s *Scenario) check() error {
	at := func(path, format string, args ...any) error {
		return s.fault(s.lines[path], path, format, args...)
	}
	// What there is at the end counts: topics grow.
	topics, partitions, keys := map[string]int{}, int64(0), int64(0)
	most := make([]int64, len(s.Topics))
	for i, t := range s.Topics {
		path := fmt.Sprintf("topics[%d]", i+1)
		switch {
		case !goodName(t.Name):
			return at(path+".name", "%q is not a name: letters, digits, '.', '_' and '-', at most 249", t.Name)
		case topics[t.Name] != 0:
			return at(path+".name", "there are two topics %s", t.Name)
		}
		topics[t.Name] = i + 1
		most[i] = t.Partitions
	}
	for _, e := range s.Events {
		if i := s.grows(e, topics); i >= 0 {
			most[i] = max(most[i], e.To)
		}
	}
	for i, n := range most {
		partitions += n
		keys += n * s.Topics[i].Keys
	}
	if keys > keysMax {
		return at("topics", "there are %d keys in all partitions together; the simulator takes %d: lower keys", keys, keysMax)
	}
	if partitions > partitionsMax {
		return at("topics", "there are %d partitions; the simulator takes %d", partitions, partitionsMax)
	}
	members, beats := int64(0), int64(0)
	fleets := map[string]*Members{}
	for i, m := range s.Members {
		path := fmt.Sprintf("members[%d]", i+1)
		if err := s.checkMembers(m, path, at); err != nil {
			return err
		}
		if fleets[m.Name] != nil {
			return at(path+".name", "there are two fleets %s", m.Name)
		}
		fleets[m.Name] = &s.Members[i]
		for _, t := range m.Topics {
			if topics[t] == 0 {
				return at(path+".topics", "there is no topic %s", t)
			}
		}
		members += m.Count * m.Consumers
		each := int64(s.Duration)/int64(m.Heartbeat) + int64(s.Duration)/int64(m.AutoCommitEvery)
		if m.FlushEvery > 0 {
			each += int64(s.Duration) / int64(m.FlushEvery)
		}
		beats += m.Count * m.Consumers * each
		if members > membersMax {
			return at(path+".count", "there are %d members by then; the simulator takes %d", members, membersMax)
		}
	}
	if beats > beatsMax {
		return at("duration", "%d heartbeats, commits and flushes would have to be simulated; the limit is %d: shorten duration, or lengthen the intervals", beats, beatsMax)
	}
	if s.Coordinator.SessionMin > s.Coordinator.SessionMax {
		return at("coordinator.group.min.session.timeout.ms", "it is above group.max.session.timeout.ms")
	}
	for i, e := range s.Events {
		if err := s.checkEvent(e, fmt.Sprintf("events[%d]", i+1), topics, fleets, at); err != nil {
			return err
		}
	}
	for i, v := range s.Compare {
		path := fmt.Sprintf("compare[%d]", i+1)
		if v.Name == "" {
			return at(path, "a variant needs a name")
		}
		c := s.clone()
		c.Compare = nil
		for _, o := range v.Set {
			if err := c.Set(o); err != nil {
				return at(path+".set", "%v", err)
			}
		}
		if err := c.check(); err != nil {
			var f *FieldError
			if errors.As(err, &f) {
				return at(path+".set", "%s: %s", f.Field, f.What)
			}
			return err
		}
	}
	return nil
}

func (s *Scenario) checkMembers(m Members, path string, at func(path, format string, args ...any) error) error {
	cooperative := 0
	for _, a := range m.Assignors {
		if a == "cooperative-sticky" {
			cooperative++
		}
	}
	switch {
	case !goodName(m.Name):
		return at(path+".name", "%q is not a name: letters, digits, '.', '_' and '-', at most 249", m.Name)
	case m.Name == everybody:
		return at(path+".name", "%s is everybody, and no fleet's name", everybody)
	case m.Heartbeat >= m.SessionTimeout:
		return at(path+".heartbeat.interval.ms", "it must be below session.timeout.ms, or every member is silent for too long: %d and %d",
			time.Duration(m.Heartbeat).Milliseconds(), time.Duration(m.SessionTimeout).Milliseconds())
	case m.SessionTimeout < s.Coordinator.SessionMin || m.SessionTimeout > s.Coordinator.SessionMax:
		return at(path+".session.timeout.ms", "%d is not within group.min.session.timeout.ms (%d) and group.max.session.timeout.ms (%d) of the coordinator; it would be refused",
			time.Duration(m.SessionTimeout).Milliseconds(), time.Duration(s.Coordinator.SessionMin).Milliseconds(), time.Duration(s.Coordinator.SessionMax).Milliseconds())
	case cooperative > 0 && cooperative < len(m.Assignors):
		return at(path+".partition.assignment.strategy", "a member that lists cooperative-sticky beside eager assignors is eager; the simulator wants it said: list one kind")
	case m.FlushEvery > 0 && m.FlushEvery < Span(10*time.Millisecond):
		return at(path+".flush.every", "%v is too often; the least is 10ms", time.Duration(m.FlushEvery))
	case m.Client == "poll-heartbeat" && m.Static:
		return at(path+".static", "clients that heartbeat from poll are older than static membership")
	}
	return nil
}

// eventWords are the fields of an event that count, by what it does, beside at, when and do.
var eventWords = map[string][]string{
	"start": {"member", "pause", "jitter"}, "close": {"member"}, "crash": {"member"}, "restart": {"member", "down", "how"},
	"rolling": {"member", "down", "how", "pause", "jitter"}, "pause": {"member", "for"}, "cut": {"member", "for", "path", "requests", "mode"},
	"slow": {"member", "for", "factor"}, "add-partitions": {"topic", "to"}, "coordinator-restart": {"down"},
}

// checkWords finds a field that somebody has written to an event that does not look at it: down to a crash, say, after which nobody comes back.
func (s *Scenario) checkWords(e Event, path string) error {
	for _, f := range fieldsOf(reflect.TypeFor[Event]()) {
		line, given := s.lines[path+"."+f.name]
		if counts := eventWords[e.Do]; given && len(counts) > 0 && f.name != "at" && f.name != "when" && f.name != "do" && !slices.Contains(counts, f.name) {
			return s.fault(line, path+"."+f.name, "%s does not look at it; it takes at, when, %s", e.Do, strings.Join(counts, ", "))
		}
	}
	return nil
}

// grows is the index of the topic that an event gives partitions to; -1 for none.
func (s *Scenario) grows(e Event, topics map[string]int) int {
	switch {
	case e.Do != "add-partitions":
		return -1
	case e.Topic == "":
		return 0
	}
	return topics[e.Topic] - 1
}

// checkEvent looks at one event. topics are the indexes of topics by name, from 1.
func (s *Scenario) checkEvent(e Event, path string, topics map[string]int, fleets map[string]*Members, at func(path, format string, args ...any) error) error {
	given := func(name string) bool { _, ok := s.lines[path+"."+name]; return ok }
	switch e.Do {
	case "":
		return at(path, "do is missing: what shall happen?")
	case "add-partitions":
		i := s.grows(e, topics)
		switch {
		case i < 0:
			return at(path+".topic", "there is no topic %s", e.Topic)
		case e.To <= s.Topics[i].Partitions:
			return at(path+".to", "topic %s has %d partitions; to must be more", s.Topics[i].Name, s.Topics[i].Partitions)
		}
	case "coordinator-restart":
	default:
		if e.Member == "" {
			return at(path, "member is missing: whom does %s happen to?", e.Do)
		}
		if !knows(fleets, e.Member) {
			return at(path+".member", "there is no consumer, process or fleet called %s", e.Member)
		}
	}
	if e.When != "" {
		who, what, _ := strings.Cut(e.When, " ")
		if !knows(fleets, who) || what != "revokes" && what != "joins" && what != "learns" {
			return at(path+".when", `%q is not understood; write "c2 revokes", "c2 joins" or "c2 learns", with a member that there is`, e.When)
		}
	} else if e.At > s.Duration {
		return at(path+".at", "it is after the end: duration is %v", time.Duration(s.Duration))
	}
	if given("for") && e.For == 0 {
		return at(path+".for", "it takes no time at all")
	}
	return nil
}

// knows reports whether a name is that of a consumer, a process or a fleet.
func knows(fleets map[string]*Members, name string) bool {
	if name == everybody || fleets[name] != nil {
		return true
	}
	for k := range min(len(name), nameMost+1) {
		m, rest := fleets[name[:k]], name[k:]
		if m == nil {
			continue
		}
		process, consumer, threaded := strings.Cut(rest, "-")
		n, err := strconv.ParseInt(process, 10, 64)
		if err != nil || n < 1 || n > m.Count || name != m.process(n)+strings.Repeat("-"+consumer, min(1, len(consumer))) {
			continue
		}
		if !threaded {
			return true
		}
		if k, err := strconv.ParseInt(consumer, 10, 64); err == nil && m.Consumers > 1 && k >= 1 && k <= m.Consumers {
			return true
		}
	}
	return false
}

// process is the name of the n-th process, from 1: as many digits as the last one has, so that names sort as numbers do.
func (m Members) process(n int64) string {
	return fmt.Sprintf("%s%0*d", m.Name, len(strconv.FormatInt(m.Count, 10)), n)
}

// nameMost is how long a name may be, as of topics in Kafka.
const nameMost = 249

func goodName(s string) bool {
	return s != "" && len(s) <= nameMost && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}
