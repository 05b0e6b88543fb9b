package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Who stops a broker in the middle of a long recovery need not wait for its end, and the next start finds everything.
func TestAStopDuringRecoveryDoesNotWaitForItsEnd(t *testing.T) {
	dir := t.TempDir()
	r := start(t, []string{dir})
	c := r.dial()
	c.CreateTopic("t", 5)
	for p := range int32(5) {
		if got := c.Produce(9, -1, "t", p, one(fmt.Sprint("v", p))); got.ErrorCode != 0 {
			t.Fatalf("error %d", got.ErrorCode)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(dir, ".kafka_cleanshutdown")
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{
		{Name: "log.dirs", Value: dir}, {Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "admin.address", Value: ""}},
		Set: []string{"num.recovery.threads.per.data.dir=1"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	logs, after := new(testkit.LogBuffer), 0
	_, err = broker.Start(ctx, broker.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(logs, nil)), FS: vfs.Inject(vfs.OS(), func(op vfs.Op) error {
		if op.Kind == vfs.OpReadAt && strings.HasSuffix(op.Name, ".log") {
			if after++; after == 2 {
				cancel()
			}
		}
		return nil
	})})
	var stopped *storage.StoppedError
	if !errors.As(err, &stopped) || !stopped.Recovering || stopped.Logs < 5 || stopped.Done > 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("the start said: %v", err)
	}
	if after > 3 {
		t.Errorf("it read segments %d times after it was told to stop", after-2)
	}
	if strings.Contains(logs.String(), "level=ERROR") || strings.Contains(logs.String(), "level=WARN") {
		t.Errorf("an orderly stop is no trouble:\n%s", logs.String())
	}
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the marker of a clean stop: %v", err)
	}
	r.start()
	c = r.dial()
	for p := range int32(5) {
		if got := values(c, "t", p); fmt.Sprint(got) != fmt.Sprintf("[v%d]", p) {
			t.Errorf("partition %d holds %v", p, got)
		}
	}
}
