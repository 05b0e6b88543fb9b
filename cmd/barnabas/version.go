package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by release builds with -ldflags "-X main.version=v1.2.3"; otherwise the build information speaks.
var version string

// buildFacts is what `version` prints and what benchmarks keep beside their figures.
type buildFacts struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`   // "" when the build does not know it
	Modified bool   `json:"modified"` // the checkout had changes
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func buildInfo() buildFacts {
	f := buildFacts{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if bi, ok := debug.ReadBuildInfo(); ok {
		if f.Version == "" && bi.Main.Version != "(devel)" {
			f.Version = bi.Main.Version
		}
		for _, s := range bi.Settings {
			switch s.Key {
			case "vcs.revision":
				f.Commit = s.Value
			case "vcs.modified":
				f.Modified = s.Value == "true"
			}
		}
	}
	if f.Version == "" {
		f.Version = "devel"
	}
	return f
}

var unfitForKIP511 = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// softwareVersion is the version in the letters that KIP-511 allows, so that brokers do not refuse the client for it.
func softwareVersion() string {
	v := strings.Trim(unfitForKIP511.ReplaceAllString(buildInfo().Version, "-"), ".-")
	if v == "" {
		return "devel"
	}
	return v
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Example: "  barnabas version\n  barnabas version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			f := buildInfo()
			return a.emit(f, func(w io.Writer) {
				fmt.Fprintf(w, "barnabas %s", f.Version)
				if f.Commit != "" {
					fmt.Fprintf(w, " (%.12s", f.Commit)
					if f.Modified {
						fmt.Fprint(w, ", modified")
					}
					fmt.Fprint(w, ")")
				}
				fmt.Fprintf(w, " %s %s/%s\n", f.Go, f.OS, f.Arch)
			})
		},
	}
}
