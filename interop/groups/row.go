package groups

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Row is what is kept of one cell.
type Row struct {
	Broker   string   `json:"broker"` // with its version
	Client   string   `json:"client"`
	Scenario Scenario `json:"scenario"`
	Result   string   `json:"result"`  // pass, FAIL, skip, or known: not as it should be, and not the broker's fault
	Why      string   `json:"why"`     // of a skip, of what is known, or the faults
	TookMs   int64    `json:"took_ms"` // 0: the scenario has no time to tell
	Records  int      `json:"records"`
	Repeated int      `json:"repeated"` // handed on more than once
	Lines    []Line   `json:"lines"`    // folded
}

// File is where the row of a cell lies in a folder of rows.
func (r Row) File() string {
	kind := "barnabas"
	if strings.HasPrefix(r.Broker, "Apache") {
		kind = "kafka"
	}
	return filepath.Join(kind, strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(r.Client+"."+string(r.Scenario))+".json")
}

// Keep writes the row into a folder.
func (r Row) Keep(dir string) error {
	path := filepath.Join(dir, r.File())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// LoadRows reads all rows of a folder, by client and scenario.
func LoadRows(dir, kind string) (map[string]map[Scenario]Row, error) {
	out := map[string]map[Scenario]Row{}
	files, err := filepath.Glob(filepath.Join(dir, kind, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var r Row
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if out[r.Client] == nil {
			out[r.Client] = map[Scenario]Row{}
		}
		out[r.Client][r.Scenario] = r
	}
	return out, nil
}
