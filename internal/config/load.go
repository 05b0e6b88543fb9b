package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Args is what a start hands to Load.
type Args struct {
	// Flags are settings given by flags of their own (--data-dir, --listeners, ...).
	Flags []Flag
	// Set holds name=value texts of --set.
	Set []string
	// ConfigFile is the path of a server.properties, "" for none.
	ConfigFile string
	// Ephemeral is --ephemeral: free ports instead of fixed ones, and the caller makes a temporary directory, since log.dirs
	// stays empty unless given.
	Ephemeral bool
	// Environ is the environment, as os.Environ gives it; nil is an empty one.
	Environ []string
	// ReadFile reads ConfigFile; nil is the file system.
	ReadFile func(path string) ([]byte, error)
	// Hostname names this machine for listeners with an empty host; nil asks the operating system.
	Hostname func() (string, error)
}

// Flag is one setting given by a flag.
type Flag struct{ Flag, Name, Value string }

// Kind is the kind of place a value came from.
type Kind int8

// The kinds, weakest first.
const (
	FromDefault Kind = iota
	FromFile
	FromEnv
	FromFlag
)

// Where is the place a value came from.
type Where struct {
	Kind Kind
	// Text names the place: "server.properties:12", "environment variable KAFKA_NODE_ID", "flag --set"; "default".
	Text string
}

// Warning is a word about a setting that does not stop the start.
type Warning struct{ Name, Where, Text string }

func (w Warning) String() string { return fmt.Sprintf("%s (%s): %s", w.Name, w.Where, w.Text) }

// Fault is one invalid setting.
type Fault struct {
	Name string
	// Value as given; empty for sensitive settings.
	Value string
	// Where it was given, "" when it came with a request.
	Where string
	// Reason says what is wrong and which values are allowed.
	Reason string
	// Request reports that the request is at fault, not the value: INVALID_REQUEST rather than INVALID_CONFIG.
	Request bool
}

func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(clip(f.Name))
	if f.Value != "" {
		fmt.Fprintf(&b, "=%s", f.Value)
	}
	if f.Where != "" {
		fmt.Fprintf(&b, " (%s)", f.Where)
	}
	b.WriteString(": ")
	b.WriteString(f.Reason)
	return b.String()
}

// Error is all faults of one start or one request.
type Error struct {
	// What was attempted: "configuration", "topic configuration".
	What   string
	Faults []Fault
}

func (e *Error) Error() string {
	if len(e.Faults) == 1 {
		return "invalid " + e.What + ": " + e.Faults[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "invalid %s, %d faults:", e.What, len(e.Faults))
	for _, f := range e.Faults {
		b.WriteString("\n  ")
		b.WriteString(f.String())
	}
	return b.String()
}

// given is one value somebody gave.
type given struct {
	value string
	where Where
}

// loader gathers values, strongest last, with everything that is wrong about them.
type loader struct {
	args     Args
	values   map[string]given
	faults   []Fault
	warnings []Warning
	host     string
}

// maxConfigFile bounds a configuration file.
const maxConfigFile = 1 << 20

// Load reads all sources: flags before the environment before the file before the defaults. Everything that is wrong comes back
// in one *Error; a *Config comes only without faults. Warnings come either way, sorted by name.
func Load(args Args) (*Config, []Warning, error) {
	l := &loader{args: args, values: map[string]given{}}
	l.readFile()
	l.readEnviron()
	l.readFlags()
	for _, name := range l.names() {
		g := l.values[name]
		row := brokerTable.byName[name]
		if row.NoEffect != "" && (g.value != row.Default || row.Gone) {
			l.warn(name, "accepted without effect: "+row.NoEffect)
		}
		if row.Gone {
			delete(l.values, name)
			continue
		}
		value, wrong := row.canonical(g.value)
		if wrong != "" {
			l.fault(name, wrong)
			delete(l.values, name)
			continue
		}
		l.values[name] = given{value, g.where}
	}
	c := l.build()
	slices.SortStableFunc(l.warnings, func(a, b Warning) int { return cmp.Compare(a.Name, b.Name) })
	if len(l.faults) > 0 {
		slices.SortStableFunc(l.faults, func(a, b Fault) int { return cmp.Compare(a.Name, b.Name) })
		return nil, l.warnings, &Error{What: "configuration", Faults: l.faults}
	}
	return c, l.warnings, nil
}

func (l *loader) names() []string {
	names := make([]string, 0, len(l.values))
	for n := range l.values { // any order: sorted below
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (l *loader) readFile() {
	path := l.args.ConfigFile
	if path == "" {
		return
	}
	text, err := l.slurp(path)
	if err != nil {
		l.faults = append(l.faults, Fault{Name: "--config", Value: path, Reason: "the file cannot be read: " + err.Error()})
		return
	}
	entries, err := ParseProperties(string(text))
	if err != nil {
		var p *PropertyError
		if errors.As(err, &p) {
			err = errors.New(p.Reason)
			path = fmt.Sprintf("%s:%d", path, p.Line)
		}
		l.faults = append(l.faults, Fault{Name: "--config", Where: path, Reason: err.Error()})
		return
	}
	for _, e := range entries {
		where := Where{FromFile, fmt.Sprintf("%s:%d", path, e.Line)}
		if brokerTable.byName[e.Key] == nil {
			l.unknown(e.Key, where)
			continue
		}
		if old, twice := l.values[e.Key]; twice {
			l.warnings = append(l.warnings, Warning{e.Key, where.Text, "given before at " + old.where.Text + "; this one counts"})
		}
		l.values[e.Key] = given{e.Value, where}
	}
}

func (l *loader) slurp(path string) ([]byte, error) {
	if l.args.ReadFile != nil {
		b, err := l.args.ReadFile(path)
		if err == nil && len(b) > maxConfigFile {
			return nil, fmt.Errorf("it is larger than %d bytes", maxConfigFile)
		}
		return b, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err == nil && len(b) > maxConfigFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxConfigFile)
	}
	return b, err
}

func (l *loader) readEnviron() {
	for _, kv := range l.args.Environ {
		variable, value, _ := strings.Cut(kv, "=")
		where := Where{FromEnv, "environment variable " + variable}
		if variable == "CLUSTER_ID" && value != "" {
			if _, taken := l.values["cluster.id"]; !taken || l.values["cluster.id"].where.Kind < FromEnv {
				l.values["cluster.id"] = given{value, where}
			}
			continue
		}
		name, ok := settingOfEnv(variable)
		if !ok {
			continue
		}
		if brokerTable.byName[name] == nil {
			l.unknown(name, where)
			continue
		}
		l.values[name] = given{value, where}
	}
}

func (l *loader) readFlags() {
	flags := slices.Clone(l.args.Flags)
	for _, s := range l.args.Set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			l.faults = append(l.faults, Fault{Name: "--set", Value: s, Reason: "must be name=value"})
			continue
		}
		flags = append(flags, Flag{"--set", strings.TrimSpace(name), value})
	}
	for _, f := range flags {
		where := Where{FromFlag, "flag " + f.Flag}
		if brokerTable.byName[f.Name] == nil {
			reason := "there is no such setting"
			if near := nearest(brokerTable, f.Name); near != "" {
				reason += "; did you mean " + near + "?"
			}
			if topicTable.byName[f.Name] != nil {
				reason = "it belongs to topics, not to the broker"
				if s := topicTable.byName[f.Name].Synonyms; len(s) > 0 {
					reason += "; its default for all topics is " + s[0].Name
				}
			}
			l.faults = append(l.faults, Fault{Name: f.Name, Where: where.Text, Reason: reason})
			continue
		}
		if old, twice := l.values[f.Name]; twice && old.where.Kind == FromFlag && old.value != f.Value {
			l.faults = append(l.faults, Fault{Name: f.Name, Value: f.Value, Where: where.Text, Reason: "given before by " + old.where.Text + " as " + old.value})
			continue
		}
		l.values[f.Name] = given{f.Value, where}
	}
}

// unknown warns of a name that means nothing here, as Kafka does: a file may hold settings of plug-ins.
func (l *loader) unknown(name string, where Where) {
	text := "unknown setting, ignored"
	if strings.HasPrefix(name, "listener.name.") {
		text = "settings of single listeners are ignored: " + noSecurity
	} else if near := nearest(brokerTable, name); near != "" {
		text += "; did you mean " + near + "?"
	}
	l.warnings = append(l.warnings, Warning{name, where.Text, text})
}

// get is the value of a setting and where it came from; "" when it has none.
func (l *loader) get(name string) (string, Where) {
	if g, ok := l.values[name]; ok {
		return g.value, g.where
	}
	return l.defaultOf(name), Where{FromDefault, "default"}
}

// defaultOf is the built-in default, in a few places bent by how the broker was started.
func (l *loader) defaultOf(name string) string {
	if v, ok := l.bent()[name]; ok {
		return v
	}
	return brokerTable.byName[name].Default
}

// bent holds the defaults that depend on how the broker was started.
func (l *loader) bent() map[string]string {
	out := map[string]string{}
	if l.args.ConfigFile == "" {
		out["group.initial.rebalance.delay.ms"] = "0"
	}
	if l.args.Ephemeral {
		out["listeners"] = "PLAINTEXT://127.0.0.1:0"
		out["admin.address"] = "127.0.0.1:0"
		out["log.dir"] = ""
	}
	return out
}

func (l *loader) fault(name, reason string) {
	f := Fault{Name: name, Where: "default", Reason: reason}
	if g, ok := l.values[name]; ok {
		f.Where = g.where.Text
		if row := brokerTable.byName[name]; !row.Sensitive() {
			f.Value = g.value
		}
	}
	l.faults = append(l.faults, f)
}

func (l *loader) warn(name, text string) {
	_, where := l.get(name)
	l.warnings = append(l.warnings, Warning{name, where.Text, text})
}

// hostname is what a listener with an empty host is advertised as.
func (l *loader) hostname() string {
	if l.host == "" {
		f := l.args.Hostname
		if f == nil {
			f = os.Hostname
		}
		h, err := f()
		if err != nil || h == "" {
			l.warn("listeners", "the name of this machine is not known, localhost is advertised instead")
			h = "localhost"
		}
		l.host = h
	}
	return l.host
}
