package history

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/observe/clientlog"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// BrokerLog is what the log of an Apache Kafka broker says of one group: the reasons that clients gave, which are kept nowhere else.
type BrokerLog struct {
	group  string
	events []brokerEvent
	zoned  bool
	newer  brokerEvent // of the newer protocol: the member's line that stands before the one about the epoch
	// Lines counts what was read, Understood the lines about the group.
	Lines, Understood int
}

// brokerEvent is one line of the coordinator about the group.
type brokerEvent struct {
	kind       brokerKind
	at         vtime.Instant
	generation int32 // -1: the line names none
	member     string
	instance   string
	reason     string // what the client said; "" for nothing
	trigger    journal.TriggerKind
	text       string
}

type brokerKind int

const (
	rebalanceBegins  brokerKind = iota // "Preparing to rebalance group": generation is the old one
	joinEnds                           // "Stabilized group"
	assigned                           // "Assignment received from leader"
	memberLeaves                       // "has left group through explicit `LeaveGroup` request"
	memberFails                        // "has failed, removing it from the group"
	membersLate                        // "removed dynamic members who haven't joined"
	coordinatorLoads                   // "Loaded classic group"
	seatTaken                          // "Replacing previously mapped member"
)

const (
	brokerLineMax   = 32 << 10
	brokerEventsMax = 200_000
)

// ReadBrokerLog reads a broker's log, plain or gzip, and keeps what is about the group. Lines of other kinds, and any bytes, are passed over.
func ReadBrokerLog(group string, r io.Reader) (*BrokerLog, error) {
	l := &BrokerLog{group: group}
	return l, l.Read(r)
}

// Read reads one more log of the same group: of another broker, or of another day.
func (l *BrokerLog) Read(r io.Reader) error {
	br := bufio.NewReaderSize(r, brokerLineMax)
	if head, _ := br.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(br)
		if err != nil {
			return fmt.Errorf("reading the broker's log: %w", err)
		}
		defer z.Close()
		br = bufio.NewReaderSize(z, brokerLineMax)
	}
	long := false
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 && !long {
			l.Lines++
			l.line(strings.TrimRight(string(line), "\r\n"))
		}
		long = errors.Is(err, bufio.ErrBufferFull) // the rest of a long line is not a line
		switch {
		case err == nil || long:
		case err == io.EOF:
			return nil
		default:
			return fmt.Errorf("reading the broker's log: %w", err)
		}
	}
}

func (l *BrokerLog) line(raw string) {
	if !strings.Contains(raw, l.group) || len(l.events) >= brokerEventsMax {
		return
	}
	msg, at, hasZone := clientlog.Unwrap(raw)
	ev, ok := l.parse(msg)
	if !ok {
		return
	}
	ev.at, ev.text = at, msg
	l.zoned = l.zoned || hasZone
	l.Understood++
	l.events = append(l.events, ev)
}

// parse reads a sentence of the group coordinator, of Kafka 2.x (Scala) to 4.x (Java).
func (l *BrokerLog) parse(msg string) (brokerEvent, bool) {
	ev := brokerEvent{generation: -1}
	if rest, ok := after(msg, "Preparing to rebalance group "+l.group+" in state "); ok {
		g, ok := after(rest, " with old generation ")
		if !ok {
			return ev, false
		}
		ev.kind, ev.generation = rebalanceBegins, leadingInt(g)
		reason, ok := after(g, "(reason: ")
		if ok {
			ev.why(strings.TrimSuffix(cutLast(reason, ")."), ")"))
		}
		return ev, ev.generation >= 0
	}
	if rest, ok := after(msg, "Stabilized group "+l.group+" generation "); ok {
		ev.kind, ev.generation = joinEnds, leadingInt(rest)
		return ev, ev.generation >= 0
	}
	if rest, ok := after(msg, "Assignment received from leader "); ok {
		m, g, ok := strings.Cut(rest, " for group "+l.group+" for generation ")
		if ok {
			ev.kind, ev.member, ev.generation = assigned, m, leadingInt(g)
		}
		return ev, ok && ev.generation >= 0
	}
	if rest, ok := after(msg, "[GroupId "+l.group+"] "); ok {
		return l.parseNewer(rest)
	}
	if rest, ok := after(msg, "[Group "+l.group+"] "); ok {
		m, reason, ok := strings.Cut(rest, " has left group through explicit `LeaveGroup` request")
		if !ok {
			return ev, false
		}
		ev.kind, ev.trigger = memberLeaves, journal.MemberLeft
		m, ev.instance, _ = strings.Cut(m, " with instance id ")
		ev.member = m[strings.LastIndexByte(m, ' ')+1:]
		ev.reason = clientReason(reason)
		return ev, true
	}
	if rest, ok := after(msg, " in group "+l.group+" has failed, removing it from the group"); ok {
		_ = rest
		head, _, _ := strings.Cut(msg, " in group "+l.group+" has failed")
		ev.kind, ev.trigger, ev.member = memberFails, journal.SessionExpired, head[strings.LastIndexByte(head, ' ')+1:]
		return ev, ev.member != ""
	}
	if rest, ok := after(msg, "Group "+l.group+" removed dynamic members who haven't joined: "); ok {
		ev.kind, ev.trigger = membersLate, journal.JoinExpired
		ev.member = strings.Trim(firstOf(cutLast(rest, " (")), "[]. ")
		return ev, ev.member != ""
	}
	if strings.Contains(msg, "Loaded classic group "+l.group+" with ") {
		ev.kind, ev.trigger = coordinatorLoads, journal.Loaded
		return ev, true
	}
	if rest, ok := after(msg, "Static member with groupInstanceId="); ok && strings.Contains(rest, " joins group "+l.group+" in ") {
		old, ok := after(rest, "Replacing previously mapped member ")
		if ok {
			ev.kind, ev.trigger = seatTaken, journal.StaticReturn
			ev.instance, _, _ = strings.Cut(rest, " and ")
			ev.member, _, _ = strings.Cut(old, " ")
		}
		return ev, ok
	}
	return ev, false
}

// parseNewer reads what the coordinator says of a group of the newer protocol. A member's line comes first, and then the one about the new epoch, which is
// where the rebalance begins. Clients give no reasons there.
func (l *BrokerLog) parseNewer(rest string) (brokerEvent, bool) {
	none := brokerEvent{generation: -1}
	if g, ok := after(rest, "Bumped group epoch to "); ok {
		ev := l.newer
		l.newer = none
		ev.kind, ev.generation = rebalanceBegins, leadingInt(g)-1
		return ev, ev.generation >= 0
	}
	static := strings.HasPrefix(rest, "Static ")
	m, what, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rest, "Static "), "member "), " ")
	if !static {
		m, what, ok = strings.Cut(strings.TrimPrefix(rest, "Member "), " ")
	}
	if strings.HasPrefix(m, "Member") || strings.HasPrefix(m, "member") {
		m, what, ok = strings.Cut(what, " ")
	}
	if !ok {
		return none, false
	}
	ev := brokerEvent{generation: -1, member: m}
	switch {
	case strings.Contains(what, "joins the consumer group"):
		ev.trigger = journal.MemberJoined
	case strings.Contains(what, "temporarily left"):
		return none, false // it keeps its seat, and nobody rebalances
	case strings.Contains(what, "left the consumer group"):
		ev.trigger = journal.MemberLeft
	case strings.Contains(what, "fenced from the group because the member session expired"):
		ev.trigger = journal.SessionExpired
	case strings.Contains(what, "fenced from the group because") && strings.Contains(what, "failed to transition from epoch"):
		ev.trigger = journal.JoinExpired
	case strings.Contains(what, "updated its subscribed topics to"):
		ev.trigger = journal.MemberChanged
	default:
		return none, false
	}
	l.newer = ev
	return none, false
}

// why reads the reason inside "Preparing to rebalance".
func (ev *brokerEvent) why(reason string) {
	ev.reason = clientReason(reason)
	word := func(s string) string {
		w, _, _ := strings.Cut(s, " ")
		return strings.TrimRight(w, ";,.")
	}
	switch {
	case strings.HasPrefix(reason, "Adding new member "):
		ev.trigger, ev.member = journal.MemberJoined, word(reason[len("Adding new member "):])
		if rest, ok := after(reason, "with group instance id "); ok {
			if id := word(rest); id != "null" && id != "None" {
				ev.instance = id
			}
		}
	case strings.HasPrefix(reason, "Updating metadata for static member "):
		ev.trigger, ev.member = journal.StaticReturn, word(reason[len("Updating metadata for static member "):])
	case strings.HasPrefix(reason, "Updating metadata for member "):
		ev.trigger, ev.member = journal.MemberChanged, word(reason[len("Updating metadata for member "):])
	case strings.HasPrefix(reason, "Leader "), strings.HasPrefix(reason, "leader "):
		ev.trigger, ev.member = journal.LeaderRejoined, word(reason[len("Leader "):])
	case strings.HasPrefix(reason, "explicit `LeaveGroup` request for ("):
		ev.trigger, ev.reason = journal.MemberLeft, ""
		ev.member = firstOf(strings.TrimPrefix(reason, "explicit `LeaveGroup` request for ("))
	case strings.HasPrefix(strings.ToLower(reason), "removing member ") && strings.Contains(reason, "on heartbeat expiration"):
		ev.trigger, ev.member = journal.SessionExpired, word(reason[len("removing member "):])
	case strings.Contains(reason, "pending sync request expiration"):
		ev.trigger = journal.SyncExpired
		ev.member = firstOf(strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(reason, "Removing "), "removing "), "["))
	case strings.Contains(reason, "is over capacity"):
		ev.trigger = journal.LimitReached
	}
}

// clientReason is what the client said; "" where the broker writes that it said nothing.
func clientReason(s string) string {
	reason, ok := after(s, "client reason: ")
	if !ok {
		return ""
	}
	if i := strings.LastIndex(reason, " (org.apache.kafka."); i >= 0 {
		reason = reason[:i]
	}
	if i := strings.LastIndex(reason, " (kafka.coordinator."); i >= 0 {
		reason = reason[:i]
	}
	if reason = strings.TrimSpace(reason); reason == "not provided" {
		return ""
	}
	if len(reason) > 255 {
		reason = strings.ToValidUTF8(reason[:255], "")
	}
	return reason
}

func after(s, mark string) (string, bool) {
	_, rest, ok := strings.Cut(s, mark)
	return rest, ok
}

// cutLast is s up to the last mark, or all of it.
func cutLast(s, mark string) string {
	if i := strings.LastIndex(s, mark); i >= 0 {
		return s[:i]
	}
	return s
}

// firstOf is the first of "a, b)": a member id.
func firstOf(s string) string {
	if i := strings.IndexAny(s, ",)] "); i >= 0 {
		s = s[:i]
	}
	return s
}

func leadingInt(s string) int32 {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}
