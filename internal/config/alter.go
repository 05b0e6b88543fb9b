package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Op is what an incremental change does, numbered as in IncrementalAlterConfigs.
type Op int8

// The operations.
const (
	OpSet      Op = 0
	OpDelete   Op = 1
	OpAppend   Op = 2
	OpSubtract Op = 3
)

// Change is one incremental change.
type Change struct {
	Name  string
	Op    Op
	Value *string
}

// AlterTopic applies incremental changes to the overrides of a topic and returns the new overrides, checked as a whole. current is
// not touched. Append and subtract work on lists and start from the built-in default where there is no override, as in Kafka.
func (c *Config) AlterTopic(current map[string]string, changes []Change) (map[string]string, error) {
	next, err := apply(topicTable, "topic configuration", current, changes)
	if err != nil {
		return nil, err
	}
	values := make(map[string]*string, len(next))
	for name, v := range next { // any order: into a map
		values[name] = &v
	}
	return c.ValidateTopic(values)
}

// AlterBroker applies incremental changes to the dynamic settings of one broker (perBroker) or of all, and returns the new ones.
func (c *Config) AlterBroker(perBroker bool, current map[string]string, changes []Change) (map[string]string, error) {
	next, err := apply(brokerTable, "broker configuration", current, changes)
	if err != nil {
		return nil, err
	}
	values := make(map[string]*string, len(next))
	for name, v := range next { // any order: into a map
		values[name] = &v
	}
	return c.ValidateBroker(perBroker, values)
}

// ValidateBroker checks the whole set of dynamic settings that one broker (perBroker) or all brokers would have, and returns what
// to store. Settings that cannot change while a broker runs, and those that need a broker id, are faults of the request.
func (c *Config) ValidateBroker(perBroker bool, values map[string]*string) (map[string]string, error) {
	e := &Error{What: "broker configuration"}
	out := make(map[string]string, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == nil {
			e.Faults = append(e.Faults, Fault{Name: name, Reason: "has no value; delete it to use the default", Request: true})
			continue
		}
		value, f := checkDynamic(name, *values[name], perBroker)
		if f != nil {
			e.Faults = append(e.Faults, *f)
			continue
		}
		out[name] = value
	}
	if len(e.Faults) == 0 {
		n := *c
		if perBroker {
			n.dynamicBroker = out
		} else {
			n.dynamicAll = out
		}
		if cross := n.crossCheckTopic(nil); cross != nil {
			f := cross.Faults[0]
			f.Name = topicTable.byName[f.Name].Synonyms[0].Name
			e.Faults = append(e.Faults, f)
		}
		n.fill()
		if n.Broker.Network.ConnectionsMaxPerIP == 0 && len(n.Broker.Network.ConnectionsPerIPOverrides) == 0 {
			e.Faults = append(e.Faults, Fault{Name: "max.connections.per.ip", Value: "0", Reason: "may be 0 only together with max.connections.per.ip.overrides, or nobody could connect"})
		}
	}
	if len(e.Faults) > 0 {
		return nil, e
	}
	return out, nil
}

// checkDynamic checks one dynamic broker setting.
func checkDynamic(name, raw string, perBroker bool) (value string, f *Fault) {
	row := brokerTable.byName[name]
	switch {
	case row == nil || row.Gone:
		reason := "there is no such broker setting"
		if row := topicTable.byName[name]; row != nil && len(row.Synonyms) > 0 {
			reason = "it is a topic setting; the broker calls its default " + row.Synonyms[0].Name
		} else if near := nearest(brokerTable, clip(name)); near != "" {
			reason += "; did you mean " + near + "?"
		}
		return "", &Fault{Name: name, Reason: reason}
	case row.Scope == ReadOnly:
		return "", &Fault{Name: name, Reason: "cannot change while the broker runs; set it in its configuration and restart", Request: true}
	case row.Scope == PerBroker && !perBroker:
		return "", &Fault{Name: name, Reason: "belongs to one broker; name its id", Request: true}
	}
	value, wrong := row.canonical(raw)
	if wrong != "" {
		f = &Fault{Name: name, Reason: wrong}
		if !row.Sensitive() {
			f.Value = clip(raw)
		}
		return "", f
	}
	return value, nil
}

// apply works the changes into a copy of current. Faults of the request come back as an *Error.
func apply(t *table, what string, current map[string]string, changes []Change) (map[string]string, error) {
	e := &Error{What: what}
	next := maps.Clone(current)
	if next == nil {
		next = map[string]string{}
	}
	seen := map[string]bool{}
	for _, ch := range changes {
		bad := func(request bool, format string, args ...any) {
			e.Faults = append(e.Faults, Fault{Name: ch.Name, Reason: fmt.Sprintf(format, args...), Request: request})
		}
		if seen[ch.Name] {
			bad(true, "is changed twice in one request")
			continue
		}
		seen[ch.Name] = true
		if ch.Op != OpDelete && ch.Value == nil {
			bad(true, "has no value; use the operation delete to go back to the default")
			continue
		}
		switch ch.Op {
		case OpSet:
			next[ch.Name] = *ch.Value
		case OpDelete:
			delete(next, ch.Name)
		case OpAppend, OpSubtract:
			row := t.byName[ch.Name]
			if row == nil || row.Type != List {
				bad(false, "is not a list, so nothing can be appended to or subtracted from it")
				continue
			}
			old, ok := next[ch.Name]
			if !ok {
				old = row.Default
			}
			items := splitList(old)
			for _, it := range splitList(*ch.Value) {
				switch at := slices.Index(items, it); {
				case ch.Op == OpAppend && at < 0:
					items = append(items, it)
				case ch.Op == OpSubtract && at >= 0:
					items = slices.Delete(items, at, at+1)
				}
			}
			next[ch.Name] = strings.Join(items, ",")
		default:
			bad(true, "is changed by the unknown operation %d", ch.Op)
		}
	}
	if len(e.Faults) > 0 {
		return nil, e
	}
	return next, nil
}
