package server_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/testkit"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// TestScenario43WhileGroupsAreBeingRead stops the disk in the middle of reading a partition of __consumer_offsets.
func TestScenario43WhileGroupsAreBeingRead(t *testing.T) {
	before := testkit.Start(t, "offsets.topic.num.partitions=1", "node.id=1")
	c := newMember(t, before, "g")
	c.CreateTopic("t", 1)
	c.alone()
	if code := c.commit("t", 0, 5); code != kafka.None {
		t.Fatal(code)
	}
	before.Stop()

	goOn := make(chan struct{})
	var once sync.Once
	release := func() { once.Do(func() { close(goOn) }) }
	defer release()
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{{Name: "log.dirs", Value: before.Dir}, {Name: "listeners", Value: "PLAINTEXT://127.0.0.1:0"}, {Name: "admin.address", Value: ""}},
		Set: []string{"offsets.topic.num.partitions=1", "node.id=1"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(t.Context(), broker.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), FS: vfs.Inject(vfs.OS(), func(op vfs.Op) error {
		if op.Kind == vfs.OpReadAt && strings.Contains(op.Name, kafka.OffsetsTopic) && strings.HasSuffix(op.Name, ".log") {
			<-goOn
		}
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		release()
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()

	again := &groupClient{Conn: testkit.Dial(t, b.Addresses()[0]), t: t, group: "g", member: c.member, generation: c.generation, version: -1}
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.Version, q.CoordinatorKeys = 4, []string{"g"}
	if got := testkit.Do[*kmsg.FindCoordinatorResponse](again.Conn, q).Coordinators[0]; got.ErrorCode != 0 || got.NodeID != 1 {
		t.Errorf("coordinator: %+v", got)
	}
	// A member is told that all is well, and one that synchronizes that it should join again: nothing else would keep their clients calm.
	wantEverywhere(t, again, kafka.CoordinatorLoadInProgress, kafka.None, kafka.RebalanceInProgress, kafka.CoordinatorLoadInProgress)
	release()
	awaitCoordinator(t, again.Conn, "g")
	if code := again.heartbeat(); code != kafka.None {
		t.Errorf("heartbeat: %v", code)
	}
	if d := describe(again.Conn, "g"); d.State != "Stable" || len(d.Members) != 1 || d.Members[0].MemberID != c.member {
		t.Errorf("described: %+v", d)
	}
	if at := again.fetched("t", 0); at != 5 {
		t.Errorf("offset %d, want 5", at)
	}
}
