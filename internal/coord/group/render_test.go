package group

import (
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/coord/offset"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// sayAnswer tells what a client was answered.
func sayAnswer(body any) string {
	failed := func(code kafka.ErrorCode, else_ string) string {
		if code != kafka.None {
			return code.String()
		}
		return else_
	}
	switch a := body.(type) {
	case JoinReply:
		role := "follows " + a.Leader
		if a.Leader == a.Member {
			role = fmt.Sprintf("leads %d", len(a.Members))
		}
		if a.SkipAssignment {
			role += " and need not assign"
		}
		return failed(a.Code, fmt.Sprintf("generation %d, %s %s", a.Generation, a.Member, role))
	case SyncReply:
		return failed(a.Code, fmt.Sprintf("owns [%s]", a.Assignment))
	case HeartbeatReply:
		return failed(a.Code, "fine")
	case LeaveReply:
		return failed(a.Members[0].Code, "gone")
	case offset.CommitReply:
		return failed(a.Topics[0].Partitions[0].Code, "committed")
	case DeleteReply:
		return failed(a.Groups[0].Code, "deleted")
	}
	panic(fmt.Sprintf("no words for %T", body))
}

// clock is a moment as the timelines show it: seconds since the start, days and hours before them when there are any.
func clock(at vtime.Instant) string {
	d := at.Since(start)
	if d < 24*time.Hour {
		return fmt.Sprintf("%.3f", d.Seconds())
	}
	return fmt.Sprintf("day %d, %s", d/(24*time.Hour), d%(24*time.Hour))
}
