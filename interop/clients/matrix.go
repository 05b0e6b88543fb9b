package clients

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Result of one scenario with one client.
type Result string

// Results as the matrix shows them.
const (
	Pass Result = "pass"
	Fail Result = "FAIL"
	Skip Result = "skip"
)

// Matrix collects results while tests run.
type Matrix struct {
	mu       sync.Mutex
	versions map[string]string            // client -> version
	cells    map[string]map[string]Result // client -> scenario -> result
	reasons  map[string][]string          // reason -> "client: scenario", in order of arrival
	tools    []toolResult                 // Apache Kafka's own tools, in order of arrival
	toolsOf  string                       // their version
}

type toolResult struct {
	name string
	r    Result
}

// Tool notes what one of Apache Kafka's command line tools did; the last word on a tool counts.
func (m *Matrix) Tool(name string, r Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.tools {
		if m.tools[i].name == name {
			m.tools[i].r = r
			return
		}
	}
	m.tools = append(m.tools, toolResult{name, r})
}

// ToolsVersion notes the version of those tools.
func (m *Matrix) ToolsVersion(v string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.toolsOf = v
}

// NewMatrix is empty.
func NewMatrix() *Matrix {
	return &Matrix{versions: map[string]string{}, cells: map[string]map[string]Result{}, reasons: map[string][]string{}}
}

// Version notes what was run.
func (m *Matrix) Version(client, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[client] = version
}

// Set notes a result; reason says why something was skipped or only partly done.
func (m *Matrix) Set(client, scenario string, r Result, reasons ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cells[client] == nil {
		m.cells[client] = map[string]Result{}
	}
	m.cells[client][scenario] = r
	for _, why := range reasons {
		if cell := client + ": " + scenario; !slices.Contains(m.reasons[why], cell) {
			m.reasons[why] = append(m.reasons[why], cell)
		}
	}
}

// GroupsHeading is where the consumer groups' half of the document begins.
const GroupsHeading = "## Consumer groups"

// Write puts the matrix into a Markdown file. It is written by the run itself, so that it cannot say what did not happen.
func (m *Matrix) Write(path, broker string, order []string, scenarios []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	b.WriteString("# Real clients\n\nWritten by the interop run itself (`make interop`); do not edit. The broker was " + broker + ".\n\n")
	b.WriteString("Every scenario is written once, in `interop/clients`, and run with each client as its users use it. The only unusual settings are batches of\n" +
		"up to 2 MiB on the client's side, so that it is the broker who refuses what is too big, and retries that outlive a restart. A skip has its\n" +
		"reason below.\n\n")
	b.WriteString("| Client | Version |")
	for _, s := range scenarios {
		b.WriteString(" " + s + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(scenarios)) + "\n")
	notes := map[string]int{} // reason -> number, in order of first use in the table
	var numbered []string
	byCell := map[string][]string{}
	for why, where := range m.reasons {
		for _, cell := range where {
			byCell[cell] = append(byCell[cell], why)
		}
	}
	for _, client := range order {
		cells := m.cells[client]
		if cells == nil {
			continue
		}
		fmt.Fprintf(&b, "| %s | %s |", client, m.versions[client])
		for _, s := range scenarios {
			r, ok := cells[s]
			if !ok {
				r = "-"
			}
			b.WriteString(" " + string(r))
			whys := byCell[client+": "+s]
			sort.Strings(whys)
			for _, why := range whys {
				if notes[why] == 0 {
					numbered = append(numbered, why)
					notes[why] = len(numbered)
				}
				fmt.Fprintf(&b, " [%d]", notes[why])
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	if len(numbered) > 0 {
		b.WriteString("\nNotes\n\n")
		for i, why := range numbered {
			fmt.Fprintf(&b, "%d. %s\n", i+1, why)
		}
	}
	if len(m.tools) > 0 {
		b.WriteString("\nThe command line tools of Apache Kafka " + m.toolsOf + " against the same broker\n\n| Tool | |\n|---|---|\n")
		for _, tool := range m.tools {
			fmt.Fprintf(&b, "| %s | %s |\n", tool.name, tool.r)
		}
	}
	b.WriteString("\nWhat the columns mean\n\n")
	for _, s := range scenarios {
		fmt.Fprintf(&b, "- **%s**: %s\n", s, meanings[s])
	}
	// The consumer groups' half is written by others and stays.
	if old, err := os.ReadFile(path); err == nil {
		if _, groups, ok := strings.Cut(string(old), "\n"+GroupsHeading+"\n"); ok {
			b.WriteString("\n" + GroupsHeading + "\n" + groups)
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
