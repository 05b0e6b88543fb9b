package broker_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/testkit"
)

// When meta.db is lost nobody knows for how long records were to be kept. The broker's defaults say a week; a log that no topic owns keeps
// all it has.
func TestALogThatNoTopicOwnsLosesNothing(t *testing.T) {
	old := testkit.Start(t)
	c := testkit.Dial(t, old.Addr())
	c.CreateTopic("a", 1, "retention.ms", "-1")
	if got := c.Produce(9, -1, "a", 0, testkit.Batch(testkit.Record{Value: "kept for ever"})); got.ErrorCode != 0 {
		t.Fatalf("produce: error %d", got.ErrorCode)
	}
	old.Stop()
	if err := os.Remove(filepath.Join(old.Dir, "meta.db")); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Args{
		Flags: []config.Flag{{Flag: "--data-dir", Name: "log.dirs", Value: old.Dir}, {Flag: "--listeners", Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"},
			{Flag: "--admin-addr", Name: "admin.address", Value: "127.0.0.1:0"}},
		Set: []string{"log.retention.ms=1", "log.retention.check.interval.ms=5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	logs := &testkit.LogBuffer{}
	b, err := broker.Start(t.Context(), broker.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(logs, nil)), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.WithoutCancel(t.Context()))
	c = testkit.Dial(t, b.Addresses()[0])
	c.CreateTopic("b", 1)
	c.Produce(9, -1, "b", 0, testkit.Batch(testkit.Record{Value: "not kept at all"}))
	logs.Await(t, "topic=b partition=0 segments=1 reason=retention.ms") // retention has looked at a before it came to b
	if fi, err := os.Stat(filepath.Join(old.Dir, "a-0", "00000000000000000000.log")); err != nil || fi.Size() == 0 {
		t.Errorf("the records that no topic owns are gone: %v", err)
	}
}

// The order of log.dirs means nothing, and a new directory may come first: the topics are still there.
func TestMetadataAreFoundInAnyLogDirectory(t *testing.T) {
	dir := t.TempDir()
	one, two, three := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "three")
	start := func(set ...string) (*broker.Broker, error) {
		return tryStart(t, t.Context(), set[0], "PLAINTEXT://127.0.0.1:0", "127.0.0.1:0", set[1:]...)
	}
	for i, dirs := range []string{one + "," + two, two + "," + one, three + "," + two + "," + one} {
		b, err := start(dirs)
		if err != nil {
			t.Fatal(err)
		}
		c := testkit.Dial(t, b.Addresses()[0])
		if i == 0 {
			c.CreateTopic("t", 2)
		}
		for part := range int32(2) {
			if got := c.Produce(9, -1, "t", part, testkit.Batch(testkit.Record{Value: "v"})); got.ErrorCode != 0 || got.BaseOffset != int64(i) {
				t.Errorf("log.dirs=%s: partition %d: error %d, offset %d, want %d", dirs, part, got.ErrorCode, got.BaseOffset, i)
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := start(one+","+two+","+three, "metadata.log.dir="+dir); err == nil || !strings.Contains(err.Error(), "the log directory "+one+" has") {
		t.Errorf("metadata.log.dir without metadata: %v", err)
	}
	if err := os.Rename(filepath.Join(one, "meta.db"), filepath.Join(dir, "meta.db")); err != nil {
		t.Fatal(err)
	}
	b, err := start(one+","+two+","+three, "metadata.log.dir="+dir)
	if err != nil {
		t.Fatal(err)
	}
	b.Close(t.Context())
}
