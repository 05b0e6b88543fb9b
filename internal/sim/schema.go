package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Schema is the JSON schema of scenario files, for editors and for people: every field with its words, default and bounds.
func Schema() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	top := schemaOf(reflect.TypeFor[Scenario]())
	if err := enc.Encode(schemaTop{"https://json-schema.org/draft/2020-12/schema", "A scenario of barnabas simulate", top}); err != nil {
		panic(err) // nothing in it can fail to be written
	}
	return b.Bytes()
}

type schemaTop struct {
	Schema string `json:"$schema"`
	Title  string `json:"title"`
	*schemaNode
}

type schemaNode struct {
	Type        string        `json:"type,omitempty"`
	Description string        `json:"description,omitempty"`
	Enum        []string      `json:"enum,omitempty"`
	Pattern     string        `json:"pattern,omitempty"`
	AnyOf       []*schemaNode `json:"anyOf,omitempty"`
	Default     any           `json:"default,omitempty"`
	Minimum     json.Number   `json:"minimum,omitempty"`
	Maximum     json.Number   `json:"maximum,omitempty"`
	Items       *schemaNode   `json:"items,omitempty"`
	Properties  *schemaMap    `json:"properties,omitempty"`
	Required    []string      `json:"required,omitempty"`
	Additional  any           `json:"additionalProperties,omitempty"`
}

// schemaMap keeps its fields in order.
type schemaMap struct {
	names []string
	nodes []*schemaNode
}

// MarshalJSON writes the fields in the order of declaration.
func (m *schemaMap) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range m.names {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(m.nodes[i])
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func schemaOf(t reflect.Type) *schemaNode {
	node := &schemaNode{Type: "object", Additional: false, Properties: &schemaMap{}}
	for _, f := range fieldsOf(t) {
		node.Properties.names = append(node.Properties.names, f.name)
		node.Properties.nodes = append(node.Properties.nodes, f.schema())
		if f.need {
			node.Required = append(node.Required, f.name)
		}
	}
	return node
}

// spanPattern is a duration: 10s, 1m30s, 0.5ms.
const spanPattern = "(0|([0-9]+(\\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)"

func (f field) schema() *schemaNode {
	n := &schemaNode{}
	number := func(s string) json.Number { return json.Number(s) }
	if f.def != "" {
		n.Default = f.def
	}
	switch {
	case isSection(f.typ):
		n = schemaOf(f.typ)
	case f.typ == reflect.TypeFor[[]Override]():
		n = &schemaNode{Type: "object"}
	case f.typ.Kind() == reflect.Slice && isSection(f.typ.Elem()):
		n = &schemaNode{Type: "array", Items: schemaOf(f.typ.Elem())}
	case f.typ.Kind() == reflect.Slice:
		// One word may stand alone, and several may stand in a line with commas between them.
		word := &schemaNode{Type: "string", Enum: f.oneOf}
		n.AnyOf = []*schemaNode{word, {Type: "string", Pattern: ","}, {Type: "array", Items: word}}
		if f.def != "" {
			n.Default = []string{f.def}
		}
	case f.typ.Kind() == reflect.Bool:
		n.Type = "boolean"
		n.Default = f.def == "true"
	case f.typ == spanType:
		n.Type, n.Pattern = "string", "^"+spanPattern+"$"
	case f.typ == workType:
		n.Type, n.Pattern = "string", "^("+spanPattern+"|uniform\\("+spanPattern+", *"+spanPattern+"\\)|exponential\\("+spanPattern+"\\))$"
	case f.typ == rateType:
		n.Type, n.Default = "number", number(f.def)
	case f.typ == millisType, f.typ.Kind() == reflect.Int64:
		n.Type, n.Default = "integer", number(f.def)
	default:
		n.Type, n.Enum = "string", f.oneOf
	}
	n.Description = f.doc
	if n.Type == "integer" || n.Type == "number" {
		n.Minimum, n.Maximum = number("0"), number(f.max)
		if f.min != "" {
			n.Minimum = number(f.min)
		}
	} else if f.min != "" && f.max != "" {
		n.Description += fmt.Sprintf(" From %s to %s.", f.min, f.max)
	}
	return n
}

// AddEvent adds an event given as "at=10s do=restart member=c1", and checks the scenario.
func (s *Scenario) AddEvent(text string) error {
	fault := func(format string, args ...any) error {
		return &FieldError{Field: "event", What: fmt.Sprintf(format, args...)}
	}
	e := withDefaults[Event]()
	path := fmt.Sprintf("events[%d]", len(s.Events)+1)
	fields := fieldsOf(reflect.TypeFor[Event]())
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		name, value, ok := strings.Cut(words[i], "=")
		if !ok {
			return fault("%q is not name=value; write \"at=10s do=restart member=c1 down=5s\"", words[i])
		}
		k := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if k < 0 {
			return fault("there is no field %q", name)
		}
		if _, twice := s.lines[path+"."+name]; twice {
			return fault("%s is given twice", name)
		}
		if name == "when" && i+1 < len(words) && !strings.Contains(words[i+1], "=") { // "c2 revokes" is two words
			i++
			value += " " + words[i]
		}
		if err := fields[k].set(reflect.ValueOf(&e).Elem().Field(fields[k].index), value); err != nil {
			return fault("%s: %v", name, err)
		}
		s.lines[path+"."+name] = 0
	}
	if err := s.checkWords(e, path); err != nil {
		return err
	}
	s.Events = append(s.Events, e)
	return s.check()
}
