package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

func TestAppendThenReadThenReopen(t *testing.T) {
	fsys := vfs.NewMemory()
	cfg := testConfig(fsys)
	fl := newFlushes()
	cfg.OnFlushed = fl.on
	s := openStore(t, cfg)
	c := DefaultLogConfig()
	c.SegmentBytes, c.IndexIntervalBytes = 1000, 100
	l := newLog(t, s, c)
	var want []string
	for i := range 50 {
		v := fmt.Sprintf("v%d", i)
		r := mustAppend(t, l, simple(t, int64(1000+i), v, v+"b"))
		if r.BaseOffset != int64(2*i) || r.LastOffset != int64(2*i+1) {
			t.Fatalf("batch %d landed at %d-%d", i, r.BaseOffset, r.LastOffset)
		}
		want = append(want, fmt.Sprintf("%d=%s", 2*i, v), fmt.Sprintf("%d=%sb", 2*i+1, v))
	}
	if n := l.SegmentCount(); n < 3 {
		t.Fatalf("only %d segments", n)
	}
	l.WantFlush()
	fl.wait(l, 100)
	if got := l.FlushedOffset(); got != 100 {
		t.Errorf("flushed %d, want 100", got)
	}
	for from := range int64(100) {
		if diff := cmp.Diff(want[from:], readAll(t, l, from)); diff != "" {
			t.Fatalf("from %d: %s", from, diff)
		}
	}
	var oor *OutOfRange
	if _, err := l.Read(101, 1, 200, true); !errors.As(err, &oor) {
		t.Errorf("read beyond the end: %v", err)
	}
	closeStore(t, s)
	for _, how := range []string{"clean", "killed", "killed again"} {
		s = openStore(t, testConfig(fsys))
		l = s.Get(tp0)
		if l == nil || l.TopicID() != topicID {
			t.Fatalf("%s: log %v", how, l)
		}
		l.SetConfig(c)
		if diff := cmp.Diff(want, readAll(t, l, 0)); diff != "" {
			t.Fatalf("%s: %s", how, diff)
		}
		v := fmt.Sprintf("after %s", how)
		want = append(want, fmt.Sprintf("%d=%s", l.EndOffset(), v))
		mustAppend(t, l, simple(t, 5000, v))
		fsys = fsys.Kill()
	}
}
