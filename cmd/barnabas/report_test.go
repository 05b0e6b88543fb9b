package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Rows are always shown, in every form; the error line counts those that failed and tells of the first.
func TestReportsEndWithWhatFailed(t *testing.T) {
	type row struct {
		Name  string `json:"name"`
		Error string `json:"error,omitempty"`
		err   error
	}
	bad := func(name string) row {
		err := failed("it broke", "mend "+name)
		return row{name, err.Error(), err}
	}
	for name, c := range map[string]struct {
		rows                    []row
		text, json, error, cure string
	}{
		"nothing":       {nil, "", "[]", "", ""},
		"all well":      {[]row{{Name: "a"}, {Name: "b"}}, "a\nb\n", `[{"name":"a"},{"name":"b"}]`, "", ""},
		"one, and bad":  {[]row{bad("a")}, "", `[{"name":"a","error":"itbroke"}]`, "a: it broke", "mend a"},
		"two of three":  {[]row{{Name: "a"}, bad("b"), bad("c")}, "a\nb\nc\n", `[{"name":"a"},{"name":"b","error":"itbroke"},{"name":"c","error":"itbroke"}]`, "2 of 3 things failed; the first: b: it broke", "mend b"},
		"both, and bad": {[]row{bad("a"), bad("b")}, "a\nb\n", `[{"name":"a","error":"itbroke"},{"name":"b","error":"itbroke"}]`, "2 of 2 things failed; the first: a: it broke", "mend a"},
	} {
		for _, form := range []string{"text", "json"} {
			var out bytes.Buffer
			a := newApp(strings.NewReader(""), &out, io.Discard, func(string) string { return "" })
			a.output = form
			err := report(a, "things", c.rows, func(r *row) *fault { return a.blame(r.Name, r.Error, r.err) }, func(w io.Writer, alone bool) {
				for _, r := range c.rows {
					if !alone {
						fmt.Fprintln(w, r.Name)
					}
				}
			})
			want, got := c.text, out.String()
			if form == "json" {
				want, got = c.json, strings.NewReplacer(" ", "", "\n", "").Replace(got)
			}
			if got != want {
				t.Errorf("%s as %s: %q, want %q", name, form, got, want)
			}
			var f *fault
			switch {
			case c.error == "" && err != nil:
				t.Errorf("%s: %v", name, err)
			case c.error != "" && (!errors.As(err, &f) || f.what != c.error || f.cure != c.cure || f.code != exitFailed):
				t.Errorf("%s: %+v, want %q and %q", name, err, c.error, c.cure)
			}
		}
	}
}

// What cannot be printed is the error, whatever else failed.
func TestAReportThatCannotBePrintedSaysSo(t *testing.T) {
	a := newApp(strings.NewReader(""), noWriter{}, io.Discard, func(string) string { return "" })
	err := report(a, "things", []int{1}, func(*int) *fault { return &fault{what: "it broke"} }, func(w io.Writer, _ bool) { fmt.Fprintln(w, "row") })
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

type noWriter struct{}

func (noWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
