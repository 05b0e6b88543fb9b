package groups

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A transcript is the group APIs' traffic of one cell as lines of text, one per question and answer: what the member said of itself, and
// everything the coordinator answered. Which offsets were committed is not in it: that is what Committed judges.

// Step is a moment of the scenario, written between the lines.
type Step struct {
	At   time.Time
	Text string
}

// Line of a transcript.
type Line struct {
	At     time.Duration // since the first line
	Took   time.Duration // 0: never answered
	Member string        // "": a step
	Text   string
}

// String is the line as it is kept.
func (l Line) String() string {
	if l.Member == "" {
		return fmt.Sprintf("%7.3f  -- %s", l.At.Seconds(), l.Text)
	}
	return fmt.Sprintf("%7.3f  %s %s (%.3f s)", l.At.Seconds(), l.Member, l.Text, l.Took.Seconds())
}

// Transcript tells a cell's exchanges. Member ids become the name of the member that first got them and a number, the group and the topic their
// part in the story: nothing else is renamed.
func Transcript(exchanges []Exchange, steps []Step, group, topic string) []Line {
	exchanges = slices.Clone(exchanges)
	slices.SortStableFunc(exchanges, func(a, b Exchange) int { return a.Asked.Compare(b.Asked) })
	names := memberNames(exchanges)
	var lines []Line
	var began time.Time
	add := func(at time.Time, l Line) {
		if began.IsZero() {
			began = at
		}
		l.At = at.Sub(began)
		lines = append(lines, l)
	}
	for _, x := range exchanges {
		for len(steps) > 0 && !steps[0].At.After(x.Asked) {
			add(steps[0].At, Line{Text: steps[0].Text})
			steps = steps[1:]
		}
		l := Line{Member: x.Member, Text: rename(tell(x), names, group, topic)}
		if x.Response != nil {
			l.Took = x.Answered.Sub(x.Asked)
		}
		add(x.Asked, l)
	}
	for _, s := range steps {
		add(s.At, Line{Text: s.Text})
	}
	return lines
}

// memberNames gives every member id a name of its own: A1 is the first id that A was given, A2 its second.
func memberNames(exchanges []Exchange) map[string]string {
	names, count := map[string]string{}, map[string]int{}
	for _, x := range exchanges {
		resp, ok := x.Response.(*kmsg.JoinGroupResponse)
		if !ok || resp.MemberID == "" || names[resp.MemberID] != "" {
			continue
		}
		count[x.Member]++
		names[resp.MemberID] = fmt.Sprintf("%s%d", x.Member, count[x.Member])
	}
	return names
}

func rename(text string, names map[string]string, group, topic string) string {
	ids := make([]string, 0, len(names))
	for id := range names {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // no id is cut short by another
	pairs := []string{}
	for _, id := range ids {
		pairs = append(pairs, id, names[id])
	}
	return strings.NewReplacer(append(pairs, group, "GROUP", topic, "TOPIC")...).Replace(text)
}

func code(c int16) string {
	if c == 0 {
		return "NONE"
	}
	if e := kerr.TypedErrorForCode(c); e != nil {
		return e.Message
	}
	return fmt.Sprintf("error %d", c)
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}

// tell is one exchange in full.
func tell(x Exchange) string {
	return fmt.Sprintf("%s v%d %s -> %s", kmsg.NameForKey(x.Request.Key()), x.Request.GetVersion(), question(x.Request), answered(x))
}

func question(r kmsg.Request) string {
	switch r := r.(type) {
	case *kmsg.FindCoordinatorRequest:
		return fmt.Sprintf("type=%d keys=[%s%s]", r.CoordinatorType, r.CoordinatorKey, strings.Join(r.CoordinatorKeys, " "))
	case *kmsg.JoinGroupRequest:
		var protocols []string
		for _, p := range r.Protocols {
			protocols = append(protocols, p.Name)
		}
		return fmt.Sprintf("member=%q instance=%s type=%s protocols=%v session=%d rebalance=%d reason=%s", r.MemberID, text(r.InstanceID), r.ProtocolType, protocols,
			r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, quoted(r.Reason))
	case *kmsg.SyncGroupRequest:
		var given []string
		for _, a := range r.GroupAssignment {
			given = append(given, a.MemberID)
		}
		sort.Strings(given)
		return fmt.Sprintf("member=%q instance=%s generation=%d type=%s protocol=%s assigns=%v", r.MemberID, text(r.InstanceID), r.Generation, text(r.ProtocolType), text(r.Protocol), given)
	case *kmsg.HeartbeatRequest:
		return fmt.Sprintf("member=%q instance=%s generation=%d", r.MemberID, text(r.InstanceID), r.Generation)
	case *kmsg.LeaveGroupRequest:
		leaving := []string{}
		if r.Version < 3 {
			leaving = append(leaving, r.MemberID)
		}
		for _, m := range r.Members {
			leaving = append(leaving, fmt.Sprintf("%s instance=%s reason=%s", m.MemberID, text(m.InstanceID), quoted(m.Reason)))
		}
		return fmt.Sprintf("members=%v", leaving)
	case *kmsg.OffsetCommitRequest:
		return fmt.Sprintf("member=%q instance=%s generation=%d", r.MemberID, text(r.InstanceID), r.Generation)
	case *kmsg.OffsetFetchRequest:
		return fmt.Sprintf("stable=%v", r.RequireStable)
	}
	return "?"
}

func answered(x Exchange) string {
	switch r := x.Response.(type) {
	case nil:
		return "no answer"
	case *kmsg.FindCoordinatorResponse:
		out := []string{}
		if r.Version < 4 {
			out = append(out, fmt.Sprintf("%s message=%s", code(r.ErrorCode), quoted(r.ErrorMessage)))
		}
		for _, c := range r.Coordinators {
			out = append(out, fmt.Sprintf("%s message=%s", code(c.ErrorCode), quoted(c.ErrorMessage)))
		}
		return strings.Join(out, ", ") + throttle(r.ThrottleMillis)
	case *kmsg.JoinGroupResponse:
		var members []string
		for _, m := range r.Members {
			members = append(members, fmt.Sprintf("%s instance=%s", m.MemberID, text(m.InstanceID)))
		}
		sort.Strings(members)
		return fmt.Sprintf("%s generation=%d type=%s protocol=%s leader=%q member=%q members=[%s] skip=%v", code(r.ErrorCode), r.Generation, text(r.ProtocolType), text(r.Protocol),
			r.LeaderID, r.MemberID, strings.Join(members, ", "), r.SkipAssignment) + throttle(r.ThrottleMillis)
	case *kmsg.SyncGroupResponse:
		return fmt.Sprintf("%s type=%s protocol=%s assignment=%s", code(r.ErrorCode), text(r.ProtocolType), text(r.Protocol), assignment(r.MemberAssignment)) + throttle(r.ThrottleMillis)
	case *kmsg.HeartbeatResponse:
		return code(r.ErrorCode) + throttle(r.ThrottleMillis)
	case *kmsg.LeaveGroupResponse:
		out := code(r.ErrorCode)
		for _, m := range r.Members {
			out += fmt.Sprintf(", %s instance=%s: %s", m.MemberID, text(m.InstanceID), code(m.ErrorCode))
		}
		return out + throttle(r.ThrottleMillis)
	case *kmsg.OffsetCommitResponse:
		codes := map[string]bool{}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes[code(p.ErrorCode)] = true
			}
		}
		return sorted(codes) + throttle(r.ThrottleMillis)
	case *kmsg.OffsetFetchResponse:
		codes := map[string]bool{}
		if r.Version >= 2 && r.Version < 8 {
			codes[code(r.ErrorCode)] = true
		}
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				codes[code(p.ErrorCode)] = true
			}
		}
		for _, g := range r.Groups {
			codes[code(g.ErrorCode)] = true
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					codes[code(p.ErrorCode)] = true
				}
			}
		}
		return sorted(codes) + throttle(r.ThrottleMillis)
	}
	return "?"
}

func throttle(ms int32) string { return fmt.Sprintf(" throttle=%d", ms) }

func sorted(set map[string]bool) string {
	var out []string
	for s := range set {
		out = append(out, s)
	}
	sort.Strings(out)
	return strings.Join(out, " and ")
}

// assignment tells the partitions of a consumer's assignment, and the size of any other kind.
func assignment(b []byte) string {
	var a kmsg.ConsumerMemberAssignment
	if len(b) == 0 || a.ReadFrom(b) != nil {
		return fmt.Sprintf("%d bytes", len(b))
	}
	var out []string
	for _, t := range a.Topics {
		ids := slices.Clone(t.Partitions)
		slices.Sort(ids)
		out = append(out, fmt.Sprintf("%s%v", t.Topic, ids))
	}
	sort.Strings(out)
	return "{" + strings.Join(out, " ") + "}"
}

var (
	blankID       = regexp.MustCompile(`[A-Za-z0-9._-]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	blankThrottle = regexp.MustCompile(` throttle=\d+`)
)

// Normal is a line with its ids, its times and its throttle taken out, and nothing else: what two brokers must agree on.
func (l Line) Normal() string {
	return l.Member + " " + blankThrottle.ReplaceAllString(blankID.ReplaceAllString(l.Text, "<id>"), "")
}

// Fold leaves out of a transcript what a member only says again: a line equal to the one before it of the same member and API. How many
// heartbeats fit into a scenario is a matter of time.
func Fold(lines []Line) []Line {
	last := map[string]string{}
	var out []Line
	for _, l := range lines {
		if l.Member != "" {
			api, _, _ := strings.Cut(l.Text, " ")
			key := l.Member + " " + api
			if last[key] == l.Normal() {
				continue
			}
			last[key] = l.Normal()
		}
		out = append(out, l)
	}
	return out
}

// Differences are the lines that only one of two transcripts of a scenario has. Their order is not compared: which of a commit and a
// heartbeat learns first of a rebalance is a matter of time.
func Differences(a, b []Line) (onlyA, onlyB []string) {
	set := func(lines []Line) map[string]bool {
		out := map[string]bool{}
		for _, l := range lines {
			if l.Member != "" {
				out[l.Normal()] = true
			}
		}
		return out
	}
	missing := func(from, in map[string]bool) []string {
		var out []string
		for s := range from {
			if !in[s] {
				out = append(out, s)
			}
		}
		sort.Strings(out)
		return out
	}
	inA, inB := set(a), set(b)
	return missing(inA, inB), missing(inB, inA)
}
