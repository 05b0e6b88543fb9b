package group

import (
	"testing"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/offset"
)

func TestEventsSayWhichGroupTheyAreAbout(t *testing.T) {
	for _, c := range []struct {
		ev   coord.Event
		want string
	}{
		{&JoinRequest{Group: "g"}, "g"},
		{&SyncRequest{Group: "g"}, "g"},
		{&HeartbeatRequest{Group: "g"}, "g"},
		{&HoldRelease{Group: "g"}, "g"},
		{&LeaveRequest{Group: "g"}, "g"},
		{&offset.CommitRequest{Group: "g"}, "g"},
		{&offset.FetchRequest{Group: "g"}, "g"},
		{&offset.DeleteRequest{Group: "g"}, "g"},
		{&DescribeRequest{Groups: []string{"g"}}, "g"},
		{&DescribeRequest{Groups: []string{"g", "h"}}, ""},
		{&DeleteRequest{Groups: []string{"g"}}, "g"},
		{&DeleteRequest{}, ""},
		{&ListRequest{}, ""},
		{coord.TimerFired{Key: coord.TimerKey{Group: "g"}}, "g"},
		{coord.TopicDeleted{Topic: "t"}, ""},
	} {
		if got := c.ev.EventGroup(); got != c.want {
			t.Errorf("%s is about %q, want %q", c.ev.EventName(), got, c.want)
		}
	}
}
