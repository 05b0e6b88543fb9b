package main

import (
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

func TestConsumeAsAMemberOfAGroup(t *testing.T) {
	addr := testkit.Start(t).Addr()
	ok(t, addr, "", "topics", "create", "orders", "--partitions", "3")
	ok(t, addr, "a\nb\nc\nd\ne\n", "produce", "orders", "--partition", "1")

	first := invoke(t, addr, "", "consume", "orders", "--group", "billing", "--from", "start", "-n", "3")
	equal(t, "a\nb\nc\n", first.out)
	equal(t, "assigned: orders 0-2\nrevoked: orders 0-2\n", first.err)
	// What was printed is committed, and no more: the next member goes on behind it.
	equal(t, "d\ne\n", ok(t, addr, "", "consume", "orders", "-g", "billing", "--from", "start", "-n", "2", "--assignor", "range"))
	if text := ok(t, addr, "", "groups", "describe", "billing", "-o", "json"); !strings.Contains(text, `"state": "Empty"`) || !strings.Contains(text, `"committed_offset": 5`) {
		t.Errorf("after both have left:\n%s", text)
	}
	// Another group has its own place.
	equal(t, "a\n", ok(t, addr, "", "consume", "orders", "-g", "audit", "--group-instance-id", "desk", "--from", "start", "-n", "1"))

	for _, c := range []struct {
		args []string
		say  string
	}{
		{[]string{"-g", "g", "--partitions", "0"}, "a member of a group gets its partitions from the group"},
		{[]string{"-g", "g", "--exit-at-end"}, "a member of a group gets its partitions from the group"},
		{[]string{"-g", "g", "--from", "17"}, "where to begin what the group has committed nothing of"},
		{[]string{"-g", "g", "--assignor", "best"}, "use one of cooperative-sticky, range, roundrobin, sticky"},
		{[]string{"--group-instance-id", "desk"}, "name the group with --group"},
	} {
		refused(t, exitUsage, addr, "", append([]string{"consume", "orders"}, c.args...), c.say)
	}
}
