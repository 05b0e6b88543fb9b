package tidy

import (
	"slices"
	"strings"
	"testing"
)

const module = "github.com/barnabas-mq/barnabas"

// arrows says which of our packages each package may import; what is not listed may not be imported. The vocabulary (kafka, vtime) is
// open to everyone inside internal. Test files may import anything but cmd.
var arrows = map[string][]string{
	"internal/kafka":   {},
	"internal/vtime":   {},
	"internal/tidy":    {},
	"internal/batch":   {},
	"internal/vfs":     {},
	"internal/wire":    {},
	"internal/meta":    {},
	"internal/replica": {},
	"internal/config":  {},

	"internal/meta/hub":          {"internal/meta"},
	"internal/meta/memory":       {"internal/meta", "internal/meta/hub"},
	"internal/meta/local":        {"internal/meta", "internal/meta/hub"},
	"internal/meta/metatest":     {"internal/meta"},
	"internal/controller":        {"internal/meta"},
	"internal/controller/driver": {"internal/controller", "internal/meta"},

	"internal/storage": {"internal/batch", "internal/vfs"},
	// The partition shell hands out storage's own slices and errors: an interface between them would cost an allocation per read
	// and hide nothing (docs/adr/0002-partition-shell.md).
	"internal/replica/driver": {"internal/replica", "internal/storage", "internal/batch"},
	"internal/server":         {"internal/activity", "internal/coord", "internal/coord/offset", "internal/coord/group", "internal/coord/driver", "internal/wire", "internal/batch", "internal/storage", "internal/replica/driver", "internal/controller", "internal/meta", "internal/config"},
	"internal/activity":       {},
	"internal/metrics":        {"internal/coord", "internal/coord/runtime"},
	"internal/admin":          {},

	"internal/console":             {"internal/journal"},
	"internal/console/consoletest": {"internal/console", "internal/journal"},

	"internal/recordfmt": {},
	"internal/broker": {"internal/server", "internal/wire", "internal/batch", "internal/storage", "internal/vfs", "internal/replica", "internal/replica/driver",
		"internal/controller", "internal/controller/driver", "internal/meta", "internal/meta/local", "internal/meta/memory", "internal/config",
		"internal/metrics", "internal/admin", "internal/activity", "internal/journal", "internal/journal/driver", "internal/console", "internal/coord", "internal/coord/offset", "internal/coord/group", "internal/coord/runtime", "internal/coord/driver"},

	"internal/coord":        {"internal/coord/record"},
	"internal/coord/record": {},
	"internal/coord/offset": {"internal/coord", "internal/coord/record"},
	"internal/coord/group":  {"internal/coord", "internal/coord/record", "internal/coord/offset", "assign"},

	"internal/journal/driver": {"internal/activity", "internal/coord/runtime", "internal/journal"},
	"internal/journal":        {"internal/coord", "internal/coord/record", "assign"},
	"internal/coord/runtime":  {"internal/coord", "internal/coord/record"},
	"internal/coord/driver":   {"internal/coord", "internal/coord/record", "internal/coord/runtime", "internal/replica/driver", "internal/storage", "internal/batch"},

	"internal/sim/check": {},
	"internal/sim":       {"internal/sim/check", "internal/coord", "internal/coord/record", "internal/coord/offset", "internal/coord/group", "internal/coord/runtime", "assign"},

	"internal/loadgen": {"internal/batch"},
	"internal/testkit": {"internal/broker", "internal/config", "internal/batch"},

	"assign":             {},
	"assign/kgobalancer": {"assign"},

	"docs/examples/roundtrip": {},

	"barnabastest":               {"internal/broker", "internal/config"},
	"internal/observe/clientlog": {"internal/journal"},
	"internal/observe/history":   {"internal/observe/clientlog", "internal/journal", "internal/coord/record", "assign"},
	"internal/observe":           {"internal/observe/history", "internal/journal", "internal/coord/record", "assign"},
	"cmd/barnabas":               {"internal/observe", "internal/observe/history", "assign", "assign/kgobalancer", "internal/observe/clientlog", "internal/broker", "internal/config", "internal/storage", "internal/vfs", "internal/batch", "internal/recordfmt", "internal/loadgen", "internal/sim", "internal/journal", "scenarios"},
	"scenarios":                  {},
}

// open packages may be imported by every internal package and by commands.
var open = []string{"internal/kafka", "internal/vtime"}

// cores decide: no clock, goroutine, channel, lock, log or I/O.
var cores = []string{"internal/kafka", "internal/vtime", "internal/wire", "internal/batch", "internal/meta", "internal/replica", "internal/controller",
	"internal/coord", "internal/coord/record", "internal/coord/offset", "internal/coord/group", "internal/journal", "internal/observe/clientlog", "internal/observe/history", "internal/sim", "internal/sim/check", "assign"}

func TestArrowsGoOneWay(t *testing.T) {
	for _, p := range load(t) {
		name := strings.TrimPrefix(p.PkgPath, module+"/")
		allowed, listed := arrows[name]
		if !listed {
			if strings.HasPrefix(name, "bench/") || strings.HasPrefix(name, "tools/") {
				continue
			}
			t.Errorf("package %s has no line in arrows: say whom it may import", name)
			continue
		}
		for imp := range p.Imports {
			our, ok := strings.CutPrefix(imp, module+"/")
			if !ok || slices.Contains(allowed, our) || slices.Contains(open, our) {
				continue
			}
			t.Errorf("%s imports %s, against the arrows", name, our)
		}
	}
}

// ioPackages are what a core may not import.
var ioPackages = []string{"os", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand", "os/exec", "syscall"}

func TestCoresImportNothingThatWaits(t *testing.T) {
	for _, p := range load(t) {
		name := strings.TrimPrefix(p.PkgPath, module+"/")
		if !slices.Contains(cores, name) {
			continue
		}
		for imp := range p.Imports {
			if slices.Contains(ioPackages, imp) {
				t.Errorf("core %s imports %s", name, imp)
			}
		}
	}
}
