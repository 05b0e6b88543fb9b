package vfs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// OpLog writes down operations in the order in which they are asked for, as text for golden files. Its Hook never interferes.
type OpLog struct {
	// Keep chooses what is written down; nil takes what changes the disk.
	Keep func(Op) bool
	// Root is cut off the front of names.
	Root string

	mu    sync.Mutex
	lines strings.Builder
}

func (l *OpLog) Hook(op Op) error {
	keep := l.Keep
	if keep == nil {
		keep = Changes
	}
	if !keep(op) {
		return nil
	}
	op.Name = strings.TrimPrefix(op.Name, l.Root)
	op.NewName = strings.TrimPrefix(op.NewName, l.Root)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines.WriteString(op.String())
	l.lines.WriteByte('\n')
	return nil
}

// Take answers the log so far, a line for each operation, and begins a new one.
func (l *OpLog) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.lines.String()
	l.lines.Reset()
	return text
}

// SyncSites finds the places in a program that sync something, and can make one of them do nothing. A mutation run enumerates
// them in a first run of a test suite and then expects the suite to fail with each of them disabled in turn: a sync that no test
// misses is needless or untested.
type SyncSites struct {
	// Helper tells whether a function (such as "storage.writeFileAtomic") only syncs on behalf of others, so that its callers are
	// the sites, not itself. nil: none does.
	Helper func(function string) bool

	mu       sync.Mutex
	calls    map[SyncSite]int
	disabled SyncSite
	skipped  int
}

// SyncSite is one place and what it syncs.
type SyncSite struct {
	Place string // function and line
	Kind  Kind
}

func (s SyncSite) String() string { return fmt.Sprintf("%s %s", s.Kind, s.Place) }

// Hook notes the site of each sync and pretends to do those of the disabled one.
func (s *SyncSites) Hook(op Op) error {
	if !op.Kind.Syncs() {
		return nil
	}
	site := SyncSite{op.Site(s.Helper), op.Kind}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[SyncSite]int{}
	}
	s.calls[site]++
	if site == s.disabled {
		s.skipped++
		return Pretend
	}
	return nil
}

// Disable makes the syncs of one site silent no-ops from now on; the zero SyncSite enables all.
func (s *SyncSites) Disable(site SyncSite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled, s.skipped = site, 0
}

// Skipped is how many syncs were pretended since Disable.
func (s *SyncSites) Skipped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skipped
}

// Add counts calls of a site that another enumeration saw.
func (s *SyncSites) Add(site SyncSite, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[SyncSite]int{}
	}
	s.calls[site] += calls
}

// Calls is how often a site was seen.
func (s *SyncSites) Calls(site SyncSite) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[site]
}

// Sites lists those seen so far, sorted by place.
func (s *SyncSites) Sites() []SyncSite {
	s.mu.Lock()
	defer s.mu.Unlock()
	sites := make([]SyncSite, 0, len(s.calls))
	for site := range s.calls { // any order: sorted below
		sites = append(sites, site)
	}
	slices.SortFunc(sites, func(a, b SyncSite) int {
		if c := strings.Compare(a.Place, b.Place); c != 0 {
			return c
		}
		return strings.Compare(string(a.Kind), string(b.Kind))
	})
	return sites
}
