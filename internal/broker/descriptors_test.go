package broker

import (
	"math"
	"testing"
)

func TestDescriptorsAreShared(t *testing.T) {
	for _, c := range []struct{ limit, wanted, files, connections int }{
		{1 << 20, 2048, 2048, 1<<20 - 128 - 2048},
		{4096, 2048, 1984, 1984},
		{4096, 100, 100, 4096 - 128 - 100},
		{256, 2048, 96, 96},
		{64, 2048, 24, 24},
		{0, 2048, 1, 1},
		{math.MaxInt, 2048, 2048, math.MaxInt - 128 - 2048},
	} {
		if files, connections := shareDescriptors(c.limit, c.wanted); files != c.files || connections != c.connections {
			t.Errorf("a limit of %d, %d files wanted: %d files and %d connections, want %d and %d", c.limit, c.wanted, files, connections, c.files, c.connections)
		}
	}
}
