package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Property
	}{
		{"empty", "", nil},
		{"blanks and comments", "\n  \n# a=b\n  ! c=d\n", nil},
		{"the three separators", "a=1\nb:2\nc 3\nd\t=\t4", []Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}}},
		{"a key alone", "a\nb=", []Property{{"a", "", 1}, {"b", "", 2}}},
		{"only the first separator counts", "a=b=c:d e", []Property{{"a", "b=c:d e", 1}}},
		{"space, then a separator", "a = = b", []Property{{"a", "= b", 1}}},
		{"trailing space is kept", "a=b ", []Property{{"a", "b ", 1}}},
		{"continuation", "a=b,\\\n   c,\\\r\n\td\ne=f", []Property{{"a", "b,c,d", 1}, {"e", "f", 4}}},
		{"an even number of backslashes ends the line", "a=b\\\\\nc=d", []Property{{"a", "b\\", 1}, {"c", "d", 2}}},
		{"a comment is not continued", "# a\\\nb=c", []Property{{"b", "c", 2}}},
		{"a line that continues into nothing", "a=b\\", []Property{{"a", "b", 1}}},
		{"a continued line may look like a comment", "a=b\\\n#c", []Property{{"a", "b#c", 1}}},
		{"escapes", `a\ b\=c\:d=\t\n\r\f\\\q`, []Property{{"a b=c:d", "\t\n\r\f\\q", 1}}},
		{"unicode", `a=\u00e9\uD83D\uDE00\ud83dx`, []Property{{"a", "é😀\ufffdx", 1}}},
		{"all line ends", "a=1\rb=2\r\nc=3\nd=4", []Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}}},
		{"an empty key", "=v", []Property{{"", "v", 1}}},
		{"a byte order mark", "\ufeffa=1", []Property{{"a", "1", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseProperties(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	for _, bad := range []string{`a=\u12`, `a=\u12g4`, `a\u=1`} {
		if got, err := ParseProperties("x=y\n" + bad); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("%s: got %v, %v", bad, got, err)
		}
	}
}

// Any text gives entries or an error with a line inside the text, and what is written back with escapes reads the same.
func FuzzParseProperties(f *testing.F) {
	for _, s := range []string{"a=b", "a\\\n b", "\\u0041:\\\\", "#\n!\r\n=", "a=\\ud83d\\ude00\\ud83d", "\ufeff a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := 1 + strings.Count(text, "\n") + strings.Count(text, "\r")
		entries, err := ParseProperties(text)
		if err != nil {
			if e := err.(*PropertyError); e.Line < 1 || e.Line > lines {
				t.Fatalf("error at line %d of %d", e.Line, lines)
			}
			return
		}
		quote := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\f", `\f`, " ", `\ `, "=", `\=`, ":", `\:`, "#", `\#`, "!", `\!`)
		for i, e := range entries {
			if e.Line < 1 || e.Line > lines || i > 0 && e.Line <= entries[i-1].Line {
				t.Fatalf("entry %d at line %d of %d", i, e.Line, lines)
			}
			if strings.Contains(e.Key, "\ufeff") || e.Key == "" {
				continue
			}
			again, err := ParseProperties(quote.Replace(e.Key) + "=" + quote.Replace(e.Value))
			if err != nil || len(again) != 1 || again[0].Key != e.Key || again[0].Value != e.Value {
				t.Fatalf("%q=%q reads back as %v, %v", e.Key, e.Value, again, err)
			}
		}
	})
}
