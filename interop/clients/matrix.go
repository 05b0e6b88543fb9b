package clients

import (
	"fmt"
	"os"
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
		m.reasons[why] = append(m.reasons[why], client+": "+scenario)
	}
}

// Write puts the matrix into a Markdown file. It is written by the run itself, so that it cannot say what did not happen.
func (m *Matrix) Write(path, broker string, order []string, scenarios []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	b.WriteString("# Real clients\n\nWritten by the interop run itself (`make interop`); do not edit. The broker was " + broker + ".\n\n")
	b.WriteString("Every scenario is written once, in `interop/clients`, and run with each client as its users use it: no retries around it, no settings\n")
	b.WriteString("that only a test would have. A skip has its reason below.\n\n")
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
	b.WriteString("\nWhat the columns mean\n\n")
	for _, s := range scenarios {
		fmt.Fprintf(&b, "- **%s**: %s\n", s, meanings[s])
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
