// Package recordfmt turns records into text and text into records: the format language of `produce -f` and `consume -f`, and
// the JSON lines of --json.
//
// One language serves both directions, and what a format with lengths writes, the same format reads back unchanged (nulls
// included). Nothing here knows Kafka's protocol, files or flags; input is hostile and fields are bounded before they are
// held. Start reading at Help.
package recordfmt

import (
	"fmt"
	"strconv"
	"strings"
)

// Help is the language as users read it.
const Help = `A format is text with verbs:

  %k  key             %K  length of the key, -1 when it is null
  %v  value (or %s)   %V  length of the value (or %S), -1 when it is null
  %h  headers         %H  number of headers
  %t  topic           %p  partition
  %o  offset          %e  leader epoch
  %T  timestamp       %i  number of the record in this run, from 1
  %%  a percent sign

Escapes: \n \t \r \0 \\ and \xNN for any byte.

A verb may carry a form in braces:
  numbers     %o{hex}; in binary, for length prefixes: %K{big16} {big32} {big64} {little16} {little32} {little64} {byte}
  timestamps  %T is milliseconds since 1970; %T{s} seconds, %T{rfc3339} 2026-01-31T15:04:05.000Z
  text        %k{hex} %v{base64} %v{json}: hexadecimal, base64, a quoted JSON string (null when it is null)
  headers     %h is name=value,name=value; %h{%k: %v\n} repeats the text in braces for each header, with %k %K %v %V

To read records with a format, a key, value or topic ends where the text after it begins (%k:%v\n), or has its length before it
(%K{big32}%V{big32}%k%v). Where the format has one line break, at its end, a record without a length is one line and no more. A braced %h
needs %H before it. Offsets, epochs and record numbers are read and ignored.`

// Header is one header of a record; a nil value is null.
type Header struct {
	Key   string
	Value []byte
}

// Record is what the language speaks of. Nil keys and values are null, not empty.
type Record struct {
	Topic         string
	Partition     int32
	Offset        int64
	LeaderEpoch   int32
	Timestamp     int64 // milliseconds
	LogAppendTime bool  // the broker set the timestamp
	Key, Value    []byte
	Headers       []Header
}

// Field names a verb's subject in questions about a format.
type Field byte

// The fields a format can set in a record when reading.
const (
	Key       Field = 'k'
	Value     Field = 'v'
	Headers   Field = 'h'
	Topic     Field = 't'
	Partition Field = 'p'
	Timestamp Field = 'T'
)

// form is how a verb is written.
type form byte

const (
	plainForm form = iota
	hexForm
	base64Form
	jsonForm
	big16
	big32
	big64
	little16
	little32
	little64
	byteForm
	secondsForm
	rfc3339Form
)

var numberForms = map[string]form{"hex": hexForm, "big16": big16, "big32": big32, "big64": big64, "little16": little16,
	"little32": little32, "little64": little64, "byte": byteForm}
var textForms = map[string]form{"hex": hexForm, "base64": base64Form, "json": jsonForm}

// width is the number of bytes of a binary number; 0 for text.
func (f form) width() int {
	switch f {
	case byteForm:
		return 1
	case big16, little16:
		return 2
	case big32, little32:
		return 4
	case big64, little64:
		return 8
	}
	return 0
}

// element is a literal (verb 0) or a verb.
type element struct {
	verb    byte
	form    form
	literal []byte
	each    []element // of %h{...}
}

func (e *element) text() bool {
	return e.verb == 'k' || e.verb == 'v' || e.verb == 't' || (e.verb == 'h' && e.each == nil)
}

func (e *element) number() bool {
	return e.verb != 0 && !e.text() && e.verb != 'h'
}

// Format is a parsed format; it may be used by many goroutines.
type Format struct{ elements []element }

// SyntaxError is a fault of the format itself.
type SyntaxError struct {
	Format string
	At     int // byte in Format
	Why    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("format %q at byte %d: %s", e.Format, e.At+1, e.Why)
}

// Parse reads a format.
func Parse(s string) (*Format, error) {
	p := &parser{s: s}
	els, err := p.elements(false)
	if err != nil {
		return nil, err
	}
	return &Format{els}, nil
}

// Uses reports whether the format has a verb for the field.
func (f *Format) Uses(field Field) bool {
	for i := range f.elements {
		if f.elements[i].verb == byte(field) {
			return true
		}
	}
	return false
}

type parser struct {
	s   string
	pos int
}

func (p *parser) fail(at int, why string, args ...any) error {
	return &SyntaxError{Format: p.s, At: at, Why: fmt.Sprintf(why, args...)}
}

// elements parses up to the end, or up to the closing brace of a header group.
func (p *parser) elements(group bool) ([]element, error) {
	var out []element
	lit := func(b byte) {
		if n := len(out); n > 0 && out[n-1].verb == 0 {
			out[n-1].literal = append(out[n-1].literal, b)
		} else {
			out = append(out, element{literal: []byte{b}})
		}
	}
	start := p.pos
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case group && c == '}':
			p.pos++
			return out, nil
		case c == '\\':
			b, err := p.escape()
			if err != nil {
				return nil, err
			}
			lit(b)
		case c == '%':
			if strings.HasPrefix(p.s[p.pos:], "%%") {
				lit('%')
				p.pos += 2
				continue
			}
			e, err := p.verb(group)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		default:
			lit(c)
			p.pos++
		}
	}
	if group {
		return nil, p.fail(start-1, "this { has no }")
	}
	return out, nil
}

func (p *parser) escape() (byte, error) {
	at := p.pos
	p.pos++
	if p.pos == len(p.s) {
		return 0, p.fail(at, `a single \ at the end; write \\ for one`)
	}
	c := p.s[p.pos]
	p.pos++
	switch c {
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case '0':
		return 0, nil
	case '\\', '%', '{', '}':
		return c, nil
	case 'x':
		if p.pos+2 <= len(p.s) {
			if n, err := strconv.ParseUint(p.s[p.pos:p.pos+2], 16, 8); err == nil {
				p.pos += 2
				return byte(n), nil
			}
		}
		return 0, p.fail(at, `\x needs two hexadecimal digits`)
	}
	return 0, p.fail(at, `no escape \%c; there are \n \t \r \0 \\ \xNN`, c)
}

func (p *parser) verb(group bool) (element, error) {
	at := p.pos
	p.pos++
	if p.pos == len(p.s) {
		return element{}, p.fail(at, "a single %% at the end; write %%%% for one")
	}
	e := element{verb: p.s[p.pos]}
	p.pos++
	switch e.verb {
	case 's':
		e.verb = 'v'
	case 'S':
		e.verb = 'V'
	}
	allowed := "kKvVhHtpoeTi"
	if group {
		allowed = "kKvV"
	}
	if strings.IndexByte(allowed, e.verb) < 0 {
		if group {
			return e, p.fail(at, "no verb %%%c in a header group; there are %%k %%K %%v %%V", e.verb)
		}
		return e, p.fail(at, "no verb %%%c; there are %%k %%K %%v %%V %%h %%H %%t %%p %%o %%e %%T %%i", e.verb)
	}
	if p.pos == len(p.s) || p.s[p.pos] != '{' {
		return e, nil
	}
	p.pos++
	if e.verb == 'h' {
		var err error
		if e.each, err = p.elements(true); err != nil {
			return e, err
		}
		if len(e.each) == 0 {
			return e, p.fail(at, "an empty header group; write %%h{%%k=%%v }, or %%h alone")
		}
		return e, nil
	}
	end := strings.IndexByte(p.s[p.pos:], '}')
	if end < 0 {
		return e, p.fail(p.pos-1, "this { has no }")
	}
	name := p.s[p.pos : p.pos+end]
	forms := numberForms
	if e.text() {
		forms = textForms
	}
	f, ok := forms[name]
	switch {
	case e.verb == 'T' && name == "s":
		f, ok = secondsForm, true
	case e.verb == 'T' && name == "rfc3339":
		f, ok = rfc3339Form, true
	case e.verb == 'T' && name == "ms":
		f, ok = plainForm, true
	}
	if !ok {
		return e, p.fail(p.pos, "no form {%s} for %%%c", name, e.verb)
	}
	e.form = f
	p.pos += end + 1
	return e, nil
}
