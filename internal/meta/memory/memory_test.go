package memory_test

import (
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/memory"
	"github.com/barnabas-mq/barnabas/internal/meta/metatest"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

func TestConformance(t *testing.T) {
	now := vtime.Instant(0)
	metatest.Run(t, metatest.Harness{
		Open:    func(testing.TB) meta.Store { now = 0; return memory.New() },
		Compact: func(s meta.Store, at meta.Revision) { s.(*memory.Store).Compact(at) },
		Sleep: func(s meta.Store, d time.Duration) {
			now = now.Add(d)
			s.(*memory.Store).SetTime(now)
		},
	})
}
