package sim

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What makes a scenario one that can be run, beyond each field by itself.

// check looks at what single fields cannot tell, and writes out the names in events.
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
	if err := s.checkGrowth(topics, most, at); err != nil {
		return err
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
	each, all := s.loads(most)
	members, steps := int64(0), int64(0)
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
		reads := all
		if len(m.Topics) > 0 {
			reads = load{}
		}
		for _, t := range m.Topics {
			if topics[t] == 0 {
				return at(path+".topics", "there is no topic %s", t)
			}
			reads = reads.add(each[topics[t]-1])
		}
		members += m.Count * m.Consumers
		if members > membersMax {
			return at(path+".count", "there are %d members by then; the simulator takes %d", members, membersMax)
		}
		steps += s.steps(m, reads)
	}
	if err := s.checkNames(at); err != nil {
		return err
	}
	if steps > stepsMax {
		return at("duration", "%d heartbeats, commits and batches of records would have to be simulated; the limit is %d: shorten duration, or lengthen the intervals", steps, stepsMax)
	}
	if s.Coordinator.SessionMin > s.Coordinator.SessionMax {
		return at("coordinator.group.min.session.timeout.ms", "it is above group.max.session.timeout.ms")
	}
	for i := range s.Events {
		if err := s.checkEvent(&s.Events[i], fmt.Sprintf("events[%d]", i+1), topics, fleets, at); err != nil {
			return err
		}
	}
	columns := map[string]bool{}
	for i, v := range s.Compare {
		path := fmt.Sprintf("compare[%d]", i+1)
		switch {
		case v.Name == "":
			return at(path, "a variant needs a name")
		case columns[v.Name]:
			return at(path+".name", "there are two variants %s", v.Name)
		}
		columns[v.Name] = true
		c := s.clone()
		c.Compare = nil
		if err := c.setAll(v.Set); err != nil {
			return at(path+".set", "%v", err)
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
	case m.Client == pollHeartbeat && m.Static:
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
		if line, given := s.lines[path+"."+f.name]; given && !e.looksAt(f.name) {
			return s.fault(line, path+"."+f.name, "%s", e.blind())
		}
	}
	return nil
}

// looksAt reports whether a field counts for the event.
func (e Event) looksAt(field string) bool {
	return field == "at" || field == "when" || field == "do" || eventWords[e.Do] == nil || slices.Contains(eventWords[e.Do], field)
}

// blind says that a field does not count for it.
func (e Event) blind() string {
	return fmt.Sprintf("%s does not look at it; it takes at, when, %s", e.Do, strings.Join(eventWords[e.Do], ", "))
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

// checkGrowth looks at the events that give topics partitions, in the order in which they happen, and raises most, how many each topic has. One
// that waits for a member happens at a time that nobody knows: only those that are sure to come before it count for it, and it for none.
func (s *Scenario) checkGrowth(topics map[string]int, most []int64, at func(path, format string, args ...any) error) error {
	var order []int
	for k, e := range s.Events {
		if s.grows(e, topics) >= 0 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.Events[a].At, s.Events[b].At) })
	sure := slices.Clone(most)
	for _, k := range order {
		e := s.Events[k]
		i, path := s.grows(e, topics), fmt.Sprintf("events[%d].to", k+1)
		switch {
		case e.To <= s.Topics[i].Partitions:
			return at(path, "topic %s has %d partitions; to must be more", s.Topics[i].Name, s.Topics[i].Partitions)
		case e.To <= sure[i]:
			return at(path, "topic %s has %d partitions by then; to must be more, or this does nothing", s.Topics[i].Name, sure[i])
		}
		if e.When == "" {
			sure[i] = e.To
		}
		most[i] = max(most[i], e.To)
	}
	return nil
}

// checkNames finds names that mean something in two fleets: c11 is of 20 called c, and of 9 called c1.
func (s *Scenario) checkNames(at func(path, format string, args ...any) error) error {
	fleets := make([]string, len(s.Members))
	for i, m := range s.Members {
		fleets[i] = m.Name
	}
	slices.Sort(fleets)
	if !slices.ContainsFunc(fleets, func(name string) bool { // sorted, a name comes right before those that begin with it
		i, _ := slices.BinarySearch(fleets, name)
		return i+1 < len(fleets) && strings.HasPrefix(fleets[i+1], name)
	}) {
		return nil
	}
	of := make(map[string]int, len(fleets))
	for i, m := range s.Members {
		names := []string{m.Name}
		for n := int64(1); n <= m.Count; n++ {
			process := m.process(n)
			names = append(names, process)
			for k := int64(1); k <= m.Consumers && m.Consumers > 1; k++ {
				names = append(names, m.consumer(process, k))
			}
		}
		for _, name := range names {
			if other, taken := of[name]; taken {
				return at(fmt.Sprintf("members[%d].name", i+1), "%s would mean something in fleet %s and in fleet %s: give one of them another name", name, s.Members[other].Name, m.Name)
			}
			of[name] = i
		}
	}
	return nil
}

// checkEvent looks at one event, and writes out whom it names. topics are the indexes of topics by name, from 1.
func (s *Scenario) checkEvent(e *Event, path string, topics map[string]int, fleets map[string]*Members, at func(path, format string, args ...any) error) error {
	given := func(name string) bool { _, ok := s.lines[path+"."+name]; return ok }
	switch e.Do {
	case "":
		return at(path, "do is missing: what shall happen?")
	case "add-partitions":
		if s.grows(*e, topics) < 0 {
			return at(path+".topic", "there is no topic %s", e.Topic)
		}
	case "coordinator-restart":
	default:
		if e.Member == "" {
			return at(path, "member is missing: whom does %s happen to?", e.Do)
		}
		who, ok := find(fleets, e.Member)
		if !ok {
			return at(path+".member", "there is no consumer, process or fleet called %s; %s", e.Member, s.examples())
		}
		e.Member = who
	}
	if e.When != "" {
		who, what, _ := strings.Cut(e.When, " ")
		who, ok := find(fleets, who)
		if !ok || what != "revokes" && what != "joins" && what != "learns" {
			return at(path+".when", `%q is not understood; write "c2 revokes", "c2 joins" or "c2 learns", with a member that there is`, e.When)
		}
		e.When = who + " " + what
	}
	if e.At > s.Duration {
		return at(path+".at", "it is after the end: duration is %v", time.Duration(s.Duration))
	}
	if given("for") && e.For == 0 {
		return at(path+".for", "it takes no time at all")
	}
	return nil
}

// find is a name of a consumer, a process or a fleet as it is; c2 of a fleet of twelve is c02, so that a fleet may become larger and the events
// stay as they are. Not ok for a name of nobody, or of two.
func find(fleets map[string]*Members, name string) (proper string, ok bool) {
	if name == everybody || fleets[name] != nil {
		return name, true
	}
	for k := range min(len(name), nameMost+1) {
		m, rest := fleets[name[:k]], name[k:]
		if m == nil {
			continue
		}
		process, consumer, threaded := strings.Cut(rest, "-")
		n, ok := ordinal(process, m.Count)
		if !ok {
			continue
		}
		its := m.process(n)
		if threaded {
			k, ok := ordinal(consumer, m.Consumers)
			if !ok || m.Consumers == 1 {
				continue
			}
			its = m.consumer(its, k)
		}
		switch {
		case its == name:
			return name, true
		case proper != "":
			return "", false
		}
		proper = its
	}
	return proper, proper != ""
}

// ordinal is a number from 1 to most, written in digits alone.
func ordinal(s string, most int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 1 && n <= most && s[0] != '+'
}

// examples names some of those there are.
func (s *Scenario) examples() string {
	m := &s.Members[0]
	first, last := m.process(1), m.process(m.Count)
	if m.Count == 1 {
		return fmt.Sprintf("of fleet %s there is %s", m.Name, first)
	}
	return fmt.Sprintf("of fleet %s there are %s to %s", m.Name, first, last)
}

// process is the name of the n-th process, from 1: as many digits as the last one has, so that names sort as numbers do.
func (m Members) process(n int64) string {
	return fmt.Sprintf("%s%0*d", m.Name, len(strconv.FormatInt(m.Count, 10)), n)
}

// consumer is the name of the k-th consumer of a process that has several, from 1.
func (m Members) consumer(process string, k int64) string { return fmt.Sprintf("%s-%d", process, k) }

// nameMost is how long a name may be, as of topics in Kafka.
const nameMost = 249

func goodName(s string) bool {
	return s != "" && len(s) <= nameMost && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}
