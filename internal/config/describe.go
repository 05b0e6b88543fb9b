package config

import (
	"maps"
	"slices"
)

// Source says which layer a value came from, numbered as in DescribeConfigs.
type Source int8

// The sources.
const (
	SourceTopic          Source = 1
	SourceDynamicBroker  Source = 2
	SourceDynamicDefault Source = 3
	SourceStaticBroker   Source = 4
	SourceDefault        Source = 5
)

// Entry is one row of an answer to DescribeConfigs. A handler leaves out what the version or the request does not want: synonyms
// without include_synonyms, documentation without include_documentation, the type before version 3.
type Entry struct {
	Name string
	// Value is nil for sensitive settings and those without a value.
	Value     *string
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Type      Type
	// Synonyms is the chain of values behind this one, the effective one first.
	Synonyms      []EntrySynonym
	Documentation string
}

// IsDefault is what version 0 answered instead of a source.
func (e *Entry) IsDefault() bool { return e.Source == SourceDefault }

// EntrySynonym is one value that stands, or would stand without the ones before it.
type EntrySynonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic is the rows of a topic with these overrides, sorted by name. names picks rows, nil or empty takes all; names that
// do not exist give no row, as in Kafka.
func (c *Config) DescribeTopic(overrides map[string]string, names []string) []Entry {
	var out []Entry
	for _, name := range pick(topicTable, names, overrides) {
		row := topicTable.byName[name]
		e := Entry{Name: name, Sensitive: row.Sensitive(), Type: row.Type, Documentation: row.documentation()}
		if v, ok := c.topicLookup(overrides, row); ok {
			e.Value = row.shown(v)
		}
		if v, ok := overrides[name]; ok {
			e.Synonyms = append(e.Synonyms, EntrySynonym{name, row.shown(v), SourceTopic})
		}
		if names := synonymNames(row); len(names) > 0 {
			e.Synonyms = append(e.Synonyms, c.chain(names, names[0])...)
		}
		e.Source = sourceOf(e.Synonyms)
		out = append(out, e)
	}
	return out
}

// DescribeBroker is the rows of this broker, sorted by name; names as in DescribeTopic.
func (c *Config) DescribeBroker(names []string) []Entry {
	var out []Entry
	for _, name := range pick(brokerTable, names, nil) {
		row := brokerTable.byName[name]
		e := Entry{Name: name, Sensitive: row.Sensitive(), Type: row.Type, ReadOnly: row.Scope == ReadOnly, Documentation: row.documentation()}
		if v, ok := c.lookup(name); ok {
			e.Value = row.shown(v)
		}
		e.Synonyms = c.chain(brokerSynonyms(row), name)
		e.Source = sourceOf(e.Synonyms)
		out = append(out, e)
	}
	return out
}

// DescribeBrokerDefault is the rows of the dynamic settings of all brokers: the resource BROKER with an empty name.
func (c *Config) DescribeBrokerDefault(names []string) []Entry {
	var out []Entry
	for _, name := range slices.Sorted(maps.Keys(c.dynamicAll)) {
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		row := brokerTable.byName[name]
		value := row.shown(c.dynamicAll[name])
		out = append(out, Entry{
			Name: name, Value: value, Source: SourceDynamicDefault, Sensitive: row.Sensitive(), Type: row.Type, ReadOnly: row.Scope == ReadOnly,
			Synonyms: []EntrySynonym{{name, value, SourceDynamicDefault}}, Documentation: row.documentation(),
		})
	}
	return out
}

// chain lists the values that stand behind the setting own, which is known by these names: layer by layer, and in a layer name by name. As in
// Kafka it begins with the first value under its own name: retention.ms, which is log.retention.ms to the broker, is said to stand on its default
// where nothing but log.retention.hours is set, although that is what counts.
func (c *Config) chain(names []string, own string) []EntrySynonym {
	var out []EntrySynonym
	add := func(name, value string, source Source) {
		if len(out) > 0 || name == own {
			out = append(out, EntrySynonym{name, brokerTable.byName[name].shown(value), source})
		}
	}
	for _, layer := range []struct {
		values map[string]string
		source Source
	}{{c.dynamicBroker, SourceDynamicBroker}, {c.dynamicAll, SourceDynamicDefault}, {c.static, SourceStaticBroker}} {
		for _, n := range names {
			if v, ok := layer.values[n]; ok {
				add(n, v, layer.source)
			}
		}
	}
	for _, n := range names {
		if v, ok := c.defaultOf(n); ok {
			add(n, v, SourceDefault)
		}
	}
	return out
}

// topicLookup is topicValue that tells an absent value from an empty one.
func (c *Config) topicLookup(overrides map[string]string, row *Definition) (string, bool) {
	v := c.topicValue(overrides, row.Name)
	if v != "" || row.HasDefault {
		return v, true
	}
	_, ok := overrides[row.Name]
	return v, ok
}

func synonymNames(row *Definition) []string {
	var out []string
	for _, s := range row.Synonyms {
		out = append(out, s.Name)
	}
	return out
}

// brokerSynonyms lists the names that mean the same as a broker setting, strongest first: the ms, minutes and hours of a time.
func brokerSynonyms(row *Definition) []string {
	if row.Topic != "" {
		if names := synonymNames(topicTable.byName[row.Topic]); len(names) > 1 && slices.Contains(names, row.Name) {
			return names
		}
	}
	return []string{row.Name}
}

func sourceOf(chain []EntrySynonym) Source {
	if len(chain) == 0 {
		return SourceDefault
	}
	return chain[0].Source
}

// shown is a value as a client may see it.
func (d *Definition) shown(v string) *string {
	if d.Sensitive() {
		return nil
	}
	return &v
}

func (d *Definition) documentation() string {
	if d.NoEffect != "" {
		return d.Doc + " Accepted without effect: " + d.NoEffect + "."
	}
	return d.Doc
}

// pick is the names to describe, sorted: all described rows and whatever is set, or those asked for that exist.
func pick(t *table, asked []string, set map[string]string) []string {
	names := t.names()
	for name := range set { // any order: sorted below
		if row := t.byName[name]; row != nil && (row.Gone || row.Internal) {
			names = append(names, name)
		}
	}
	if len(asked) > 0 {
		want := make(map[string]bool, len(asked))
		for _, n := range asked {
			want[n] = true
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !want[n] })
	}
	slices.Sort(names)
	return names
}
