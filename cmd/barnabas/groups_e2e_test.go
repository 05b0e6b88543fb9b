package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAGroupsDay uses the commands against the real broker, over a restart: what was committed is there afterwards.
func TestAGroupsDay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	addr, stop := serveHere(t, dir)
	ok(t, addr, "", "topics", "create", "orders", "-p", "3", "-c", "retention.ms=-1")
	for p := range 3 {
		ok(t, addr, strings.Repeat("x\n", 10), "produce", "orders", "-p", string(rune('0'+p)), "-t", "2026-01-31T10:00:00Z")
	}
	equal(t, "[]\n", ok(t, addr, "", "groups", "list", "-o", "json"))
	refused(t, exitFailed, addr, "", []string{"groups", "delete", "billing"}, "no group billing")

	leave := consumeGroup(t, addr, "billing", "client-a", kgo.InstanceID("inst-1"), kgo.SessionTimeout(time.Minute))
	d := decode[[]groupDescription](t, ok(t, addr, "", "groups", "describe", "billing", "-o", "json"))[0]
	if d.State != "Stable" || d.MemberCount != 1 || d.Assignor != "range" || d.Uncommitted != 3 || len(d.Partitions) != 3 || *d.Members[0].InstanceID != "inst-1" {
		t.Errorf("%+v", d)
	}
	refused(t, exitFailed, addr, "", []string{"groups", "reset-offsets", "billing", "--topic", "orders", "--to-latest", "--execute"}, "group billing is Stable with 1 member")
	leave() // a static member stays until somebody removes it
	refused(t, exitFailed, addr, "", []string{"groups", "delete", "billing"}, "billing: NON_EMPTY_GROUP")
	ok(t, addr, "", "groups", "remove-members", "billing", "--instance", "inst-1", "--reason", "scaled down")
	equal(t, "GROUP    STATE  TYPE     PROTOCOL\nbilling  Empty  classic  consumer\n", ok(t, addr, "", "groups", "list", "--state", "empty", "--quick"))

	ok(t, addr, "", "groups", "reset-offsets", "billing", "--topic", "orders", "--to-offset", "4", "--execute")
	ok(t, addr, "", "groups", "reset-offsets", "billing", "--topic", "orders:2", "--shift-by", "3", "--execute")
	ok(t, addr, "orders,0,1\n", "groups", "import", "-", "--group", "ship\nping", "--execute")
	before := ok(t, addr, "", "groups", "export", "--regex", "(?s).*", "-o", "json")
	lag := ok(t, addr, "", "groups", "lag", "--by", "partition")
	stop()

	addr, stop = serveHere(t, dir)
	equal(t, before, ok(t, addr, "", "groups", "export", "--regex", "(?s).*", "-o", "json"))
	equal(t, lag, ok(t, addr, "", "groups", "lag", "--by", "partition"))
	equal(t, "orders,0,4\norders,1,4\norders,2,7\n", ok(t, addr, "", "groups", "export", "billing"))
	ok(t, addr, "", "groups", "delete-offsets", "billing", "--topic", "orders:1")
	ok(t, addr, "", "topics", "delete", "orders")
	equal(t, "[]\n", ok(t, addr, "", "groups", "lag", "-o", "json"))
	ok(t, addr, "", "groups", "delete", "--regex", "(?s).*", "--yes")
	equal(t, "[]\n", ok(t, addr, "", "groups", "list", "-o", "json"))
	stop()
}
