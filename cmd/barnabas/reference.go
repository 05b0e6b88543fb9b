package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writeReference prints docs/cli.md from the commands themselves, so that it cannot say anything else. A test compares them.
func writeReference(w io.Writer, root *cobra.Command) {
	fmt.Fprintf(w, `# Command line

This page is written by the program: change the help texts in cmd/barnabas and run
%[1]sgo test ./cmd/barnabas -run TestReferenceIsCurrent -rewrite%[1]s.

`, "`")
	fmt.Fprintln(w, root.Long)
	fmt.Fprintln(w)
	each(root, func(c *cobra.Command) {
		fmt.Fprintf(w, "- [%s](#%s): %s\n", c.CommandPath(), anchor(c), c.Short)
	})
	fmt.Fprint(w, "\nUnder *With `-o json`* a `?` marks a field that may be left out. `-o yaml` has the same fields.\n")
	fmt.Fprint(w, "\n## Flags of all commands\n\n")
	flagList(w, root.PersistentFlags())
	each(root, func(c *cobra.Command) {
		fmt.Fprintf(w, "\n## %s\n\n", c.CommandPath())
		text := c.Long
		if text == "" {
			text = c.Short + "."
		}
		prose(w, text)
		if c.Runnable() && !c.HasSubCommands() {
			fmt.Fprintf(w, "\n```\n%s\n```\n", c.UseLine())
		}
		if len(c.Aliases) > 0 {
			fmt.Fprintf(w, "\nAlso: `%s`\n", strings.Join(c.Aliases, "`, `"))
		}
		if c.Example != "" && !c.HasSubCommands() {
			fmt.Fprintf(w, "\n```sh\n%s\n```\n", dedent(c.Example))
		}
		if c.LocalNonPersistentFlags().HasAvailableFlags() {
			fmt.Fprintln(w)
			flagList(w, c.LocalNonPersistentFlags())
		}
		for i, v := range jsonOutputs[c.CommandPath()] {
			if i == 0 {
				fmt.Fprint(w, "\nWith `-o json`:\n")
			}
			fmt.Fprint(w, "\n```\n")
			writeShape(w, reflect.TypeOf(v), "")
			fmt.Fprint(w, "\n```\n")
		}
	})
}

// each visits all commands that users see, parents first.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			visit(sub)
			each(sub, visit)
		}
	}
}

func anchor(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// prose prints a help text as Markdown: indented lines become code.
func prose(w io.Writer, text string) {
	code := false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != code && (indented || line != "") {
			fmt.Fprintln(w, "```")
			code = indented
		}
		fmt.Fprintln(w, line)
	}
	if code {
		fmt.Fprintln(w, "```")
	}
}

func dedent(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		out = append(out, strings.TrimPrefix(line, "  "))
	}
	return strings.Join(out, "\n")
}

func flagList(w io.Writer, fs *pflag.FlagSet) {
	fmt.Fprintln(w, "| flag | meaning | default |")
	fmt.Fprintln(w, "|---|---|---|")
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		arg, meaning := pflag.UnquoteUsage(f)
		name := "`--" + f.Name
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		if arg != "" {
			name += " " + arg
		}
		def := f.DefValue
		switch def {
		case "", "[]", "false":
			def = ""
		default:
			def = "`" + strings.Trim(def, "[]") + "`"
		}
		fmt.Fprintf(w, "| %s` | %s | %s |\n", name, strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(meaning), def)
	})
}
