package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandTree is the commands as main builds them.
func commandTree(t *testing.T) *cobra.Command {
	t.Helper()
	return newRoot(newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" }))
}

func TestReferenceIsCurrent(t *testing.T) {
	var b bytes.Buffer
	writeReference(&b, commandTree(t))
	file := filepath.Join("..", "..", "docs", "cli.md")
	if *rewrite {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		equal(t, string(have), b.String())
		t.Error("docs/cli.md is not what the commands say: go test ./cmd/barnabas -run TestReferenceIsCurrent -rewrite")
	}
}

func TestEveryCommandHelps(t *testing.T) {
	root := commandTree(t)
	each(root, func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is empty or ends with a full stop: %q", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			if !strings.Contains(line, "barnabas ") {
				t.Errorf("%s: an example without the command: %q", c.CommandPath(), line)
			}
		}
		for line := range strings.SplitSeq(c.Long, "\n") {
			if len(line) > 160 {
				t.Errorf("%s: a line of %d characters in the help: %q", c.CommandPath(), len(line), line)
			}
		}
	})
	if r := invoke(t, "localhost:1", ""); r.code != 0 || !strings.Contains(r.out, "barnabas topics create") {
		t.Errorf("barnabas alone: %+v", r)
	}
}

func TestEveryOutputIsDocumented(t *testing.T) {
	silent := map[string]bool{"barnabas serve": true, "barnabas completion": true, "barnabas consume": true} // consume: see its --json
	known := 0
	each(commandTree(t), func(c *cobra.Command) {
		_, documented := jsonOutputs[c.CommandPath()]
		if documented {
			known++
		}
		if !c.HasSubCommands() && !documented && !silent[c.CommandPath()] {
			t.Errorf("%s: reference_json.go does not know what it prints", c.CommandPath())
		}
	})
	if known != len(jsonOutputs) {
		t.Errorf("reference_json.go knows %d commands, of which only %d exist", len(jsonOutputs), known)
	}
}

func TestExamplesParse(t *testing.T) {
	// Every flag in every example must exist. What follows a pipe or redirection is left out.
	each(commandTree(t), func(c *cobra.Command) {
		for line := range strings.SplitSeq(c.Example, "\n") {
			for part := range strings.SplitSeq(line, "|") {
				words := strings.Fields(strings.Split(part, "#")[0])
				if len(words) == 0 || words[0] != "barnabas" {
					continue
				}
				root := commandTree(t)
				target, rest, err := root.Find(words[1:])
				if err != nil {
					t.Errorf("%q: %v", line, err)
					continue
				}
				for _, w := range rest {
					name, isLong := strings.CutPrefix(strings.Trim(w, "'\")"), "--")
					if !isLong || name == "" {
						continue
					}
					name, _, _ = strings.Cut(name, "=")
					if target.Flags().Lookup(name) == nil && root.PersistentFlags().Lookup(name) == nil {
						t.Errorf("%q: %s has no flag --%s", line, target.CommandPath(), name)
					}
				}
			}
		}
	})
}
