package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// The journal's sentences in the reader's language. A record holds them in English, each made of a form and its arguments: "%s joined the group." and a
// name. The form is the key here, and the arguments are put into the same form in the other language; so both say the same of the same facts, and
// records that are years old are read as well. A sentence whose form is not known stays as it is, and is marked as English.

// form is one sentence with places for its arguments, in both languages. In the translation $1 is the first argument as it is: a name, a number, what a
// client said; ^1 is the first argument translated, since it is a phrase of the journal's own.
type form struct {
	parts []string // what stands around the arguments, one more than there are
	other string
	words int // characters that are not arguments: the form with most of them is the one that is meant
}

// formsOf makes forms of a table, the ones that say most first.
func formsOf(table map[string]string) (out []form) {
	for english, other := range table { // any order: sorted below
		f := form{parts: strings.Split(english, "%s"), other: other}
		for _, p := range f.parts {
			f.words += len(p)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b form) int {
		return cmp.Or(cmp.Compare(b.words, a.words), slices.Compare(a.parts, b.parts))
	})
	return out
}

// match reads a text as the form and gives its arguments.
func (f *form) match(text string) (args []string, ok bool) {
	rest, ok := strings.CutPrefix(text, f.parts[0])
	if !ok {
		return nil, false
	}
	last := len(f.parts) - 1
	if last == 0 {
		return nil, rest == ""
	}
	if rest, ok = strings.CutSuffix(rest, f.parts[last]); !ok {
		return nil, false
	}
	for _, p := range f.parts[1:last] {
		arg, after, ok := strings.Cut(rest, p)
		if !ok {
			return nil, false
		}
		args, rest = append(args, arg), after
	}
	return append(args, rest), true
}

// sentenceDepth bounds phrases within phrases.
const sentenceDepth = 4

// say is a sentence or a phrase of the journal in the reader's language. It says false, and gives it back as it is, when it has no form for it.
func (w *words) say(text string) (string, bool) {
	if w.lang != "zh" {
		return text, true
	}
	return sayIn(chineseForms, text, sentenceDepth)
}

func sayIn(forms []form, text string, depth int) (string, bool) {
	if depth == 0 || len(text) > 4096 {
		return text, false
	}
	for i := range forms {
		args, ok := forms[i].match(text)
		if !ok {
			continue
		}
		var b strings.Builder
		for rest := forms[i].other; rest != ""; {
			at := strings.IndexAny(rest, "$^")
			if at < 0 || at+1 == len(rest) {
				b.WriteString(rest)
				break
			}
			b.WriteString(rest[:at])
			n, err := strconv.Atoi(rest[at+1 : at+2])
			if err != nil || n < 1 || n > len(args) {
				b.WriteByte(rest[at])
				rest = rest[at+1:]
				continue
			}
			arg := args[n-1]
			if rest[at] == '^' {
				arg, _ = sayIn(forms, arg, depth-1)
			}
			b.WriteString(arg)
			rest = rest[at+2:]
		}
		return b.String(), true
	}
	return text, false
}

// said is a text and the language it is in.
type said struct{ Lang, Text string }

// Say is a sentence of the journal in the reader's language, or in English where it has no other.
func (p *page) Say(text string) said {
	s, ok := p.say(text)
	if !ok {
		return said{"en", s}
	}
	return said{p.lang, s}
}

// DetectorTitle names what a detector found.
func (p *page) DetectorTitle(d journal.Detector) said {
	if s, ok := chineseDetectors[d]; ok && p.lang == "zh" {
		return said{"zh", s}
	}
	return said{"en", d.Title()}
}
