package broker_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
