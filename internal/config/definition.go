package config

import (
	"slices"
	"strings"
)

// Type is the data type of a setting, numbered as in DescribeConfigs.
type Type int8

// The types, with the numbers of the wire.
const (
	Unknown  Type = 0
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

var typeNames = [...]string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}

func (t Type) String() string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[0]
}

// Importance is Kafka's rough order of what to look at first.
type Importance int8

// The three grades.
const (
	High Importance = iota
	Medium
	Low
)

func (i Importance) String() string { return [...]string{"high", "medium", "low"}[i] }

// Scope says whether, and for whom, a setting can change while the broker runs.
type Scope int8

// The scopes, in Kafka's words.
const (
	// ReadOnly settings need a restart.
	ReadOnly Scope = iota
	// PerBroker settings can change for one broker by its id, never as a default of the cluster.
	PerBroker
	// ClusterWide settings can change for one broker or as the default of all.
	ClusterWide
)

func (s Scope) String() string { return [...]string{"read-only", "per-broker", "cluster-wide"}[s] }

// Synonym is a broker setting that stands in for a topic setting without an override. Its number times Factor is the topic's.
type Synonym struct {
	Name   string
	Factor int64
}

// Definition is everything there is to know about one setting.
type Definition struct {
	// Name is the property name, Kafka's where Kafka has one.
	Name string
	// Type of the value.
	Type Type
	// Default is the built-in value as text; without HasDefault there is none (Kafka's null).
	Default    string
	HasDefault bool
	// KafkaDefault is Apache Kafka's default where ours differs, and WhyDiffers the reason; both empty where they agree.
	KafkaDefault, WhyDiffers string
	// Importance as in Kafka.
	Importance Importance
	// Scope of a broker setting; a topic setting can always change.
	Scope Scope
	// Doc is one or two sentences for people.
	Doc string
	// Ours marks a setting that Apache Kafka does not have.
	Ours bool
	// NoEffect is empty for a setting that does something; else it says why a known name is accepted without effect.
	NoEffect string
	// Gone marks names that Kafka 4 has dropped: accepted in a file with a warning, refused for a topic, never described. NoEffect says why.
	Gone bool
	// Internal settings are accepted but neither described nor documented: they exist for tests.
	Internal bool
	// TopicLevel marks a row of the topic table.
	TopicLevel bool
	// Synonyms of a topic setting, first one first; empty when there is no broker-level counterpart.
	Synonyms []Synonym
	// Topic names the topic setting that a broker setting is the default of; empty if none.
	Topic string

	check check
}

// Allowed says in words which values are allowed, "" when the type alone decides.
func (d *Definition) Allowed() string { return d.check.String() }

// Sensitive settings never show their value.
func (d *Definition) Sensitive() bool { return d.Type == Password }

// Unit is what a number counts, read from the name, which carries it in Kafka: "ms", "bytes", "minutes", "hours", "seconds" or "".
func (d *Definition) Unit() string {
	switch d.Type {
	case Int, Short, Long, Double:
	default:
		return ""
	}
	for _, u := range units {
		if strings.HasSuffix(d.Name, u.suffix) {
			return u.unit
		}
	}
	return ""
}

var units = []struct{ suffix, unit string }{
	{"bytes.per.second", "bytes per second"}, {".max.throughput", ""}, {".ms", "ms"}, {".bytes", "bytes"}, {"buffer.size", "bytes"},
	{"receive.size", "bytes"}, {".minutes", "minutes"}, {".hours", "hours"}, {".seconds", "seconds"}, {".secs", "seconds"},
}

// The rows are written with this little builder, so that a row is one or two lines: type, default, importance, meaning, and then
// whatever is unusual about it.

// null is the default of settings that have none.
const null = "\x00"

func d(name string, t Type, def string, imp Importance, doc string) Definition {
	row := Definition{Name: name, Type: t, Importance: imp, Doc: doc}
	if def != null {
		row.Default, row.HasDefault = def, true
	}
	return row
}

func (d Definition) cluster() Definition              { d.Scope = ClusterWide; return d }
func (d Definition) perBroker() Definition            { d.Scope = PerBroker; return d }
func (d Definition) ours() Definition                 { d.Ours = true; return d }
func (d Definition) internal() Definition             { d.Internal = true; return d }
func (d Definition) noEffect(why string) Definition   { d.NoEffect = why; return d }
func (d Definition) topic(name string) Definition     { d.Topic = name; return d }
func (d Definition) atLeast(lo float64) Definition    { d.check.min, d.check.hasMin = lo, true; return d }
func (d Definition) atMost(hi float64) Definition     { d.check.max, d.check.hasMax = hi, true; return d }
func (d Definition) or(v float64) Definition          { d.check.also, d.check.hasAlso = v, true; return d }
func (d Definition) oneOf(names ...string) Definition { d.check.oneOf = names; return d }
func (d Definition) foldCase() Definition             { d.check.fold = true; return d }
func (d Definition) must(allowed string, f func(string) string) Definition {
	d.check.allowed, d.check.f = allowed, f
	return d
}

func (d Definition) differs(kafka, why string) Definition {
	if kafka == null {
		kafka = "none"
	}
	d.KafkaDefault, d.WhyDiffers = kafka, why
	return d
}

func (d Definition) from(names ...string) Definition {
	for _, n := range names {
		s := Synonym{Name: n, Factor: 1}
		switch {
		case strings.HasSuffix(n, ".hours"):
			s.Factor = 3_600_000
		case strings.HasSuffix(n, ".minutes"):
			s.Factor = 60_000
		}
		d.Synonyms = append(d.Synonyms, s)
	}
	return d
}

// table is the rows by name; it never changes after it was made.
type table struct {
	rows   []Definition // in the order of the files
	byName map[string]*Definition
}

func newTable(chapters ...[]Definition) *table {
	t := &table{byName: map[string]*Definition{}}
	for _, c := range chapters {
		t.rows = append(t.rows, c...)
	}
	for i := range t.rows {
		r := &t.rows[i]
		if t.byName[r.Name] != nil {
			panic("config: two rows for " + r.Name)
		}
		t.byName[r.Name] = r
	}
	return t
}

// names lists the described settings (not gone, not internal), sorted.
func (t *table) names() []string {
	out := make([]string, 0, len(t.rows))
	for i := range t.rows {
		if r := &t.rows[i]; !r.Gone && !r.Internal {
			out = append(out, r.Name)
		}
	}
	slices.Sort(out)
	return out
}

var (
	brokerTable = newTable(identityRows, networkRows, adminRows, logRows, cleanerRows, topicRows, replicationRows, groupRows, coordinatorRows,
		transactionRows, securityRows, threadRows, quotaRows, kraftRows, tieredRows, goneRows)
	topicTable = newTable(topicLevelRows)
)

// Lookup answers "where do I set it, what does it do" for a broker setting or, failing that, a topic setting.
func Lookup(name string) (Definition, bool) {
	if r := brokerTable.byName[name]; r != nil {
		return *r, true
	}
	return LookupTopic(name)
}

// LookupTopic is Lookup among the topic settings. Some names exist at both levels (min.insync.replicas).
func LookupTopic(name string) (Definition, bool) {
	if r := topicTable.byName[name]; r != nil {
		return *r, true
	}
	return Definition{}, false
}

// BrokerNames lists every described broker setting, sorted.
func BrokerNames() []string { return brokerTable.names() }

// TopicNames lists every described topic setting, sorted.
func TopicNames() []string { return topicTable.names() }

// nearest is the known name closest to a mistyped one, "" when nothing is close.
func nearest(t *table, name string) string {
	best, bestDistance := "", len(name)/3+1
	for i := range t.rows {
		r := &t.rows[i]
		if r.Gone || r.Internal {
			continue
		}
		if n := editDistance(name, r.Name, bestDistance); n < bestDistance {
			best, bestDistance = r.Name, n
		}
	}
	return best
}

// editDistance is the number of insertions, deletions and replacements between a and b, or limit when it is at least that.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	prev, cur := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		low := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			low = min(low, cur[j])
		}
		if low >= limit {
			return limit
		}
		prev, cur = cur, prev
	}
	return min(prev[len(b)], limit)
}
