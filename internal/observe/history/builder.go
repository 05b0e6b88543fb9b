package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Builder makes incidents of one group's records, which must come in the order of the log.
type Builder struct {
	group  string
	source journal.Source
	// incidents are in order; above incidentsMax the oldest go.
	incidents []journal.Incident
	dropped   int

	last    *record.GroupMetadataValue // nil: nothing known
	lastAt  vtime.Instant
	seen    bool
	open    *second // the incident that a second cooperative round may still extend
	commits map[kafka.TopicPartition]commit
	gone    []departure
	first   vtime.Instant // of the oldest record
	records int

	newer  newer
	topics map[kafka.TopicID]string
}

type commit struct {
	at     vtime.Instant
	offset int64
}

// departure is a member that went, kept for the time in which it may come back.
type departure struct {
	who      journal.Who
	at       vtime.Instant
	incident int // index
}

// second is an incident that took partitions from their owners and gave them to nobody: a second round should follow.
type second struct {
	incident int
	before   *record.GroupMetadataValue // of the first round
	until    vtime.Instant
}

// Bounds of a Builder.
const (
	incidentsMax     = 20_000
	commitsMax       = 200_000
	goneMax          = 1000
	returnRemembered = 10 * time.Minute
)

// New makes a Builder. source is where the records come from: journal.FromOffsets or journal.FromDescribe.
func New(group string, source journal.Source) *Builder {
	return &Builder{group: group, source: source, commits: map[kafka.TopicPartition]commit{}}
}

// Add takes one record of the offsets topic, written at this time. Records of other groups, and of types that are not known, are passed over.
func (b *Builder) Add(at vtime.Instant, r record.Record) {
	if r.GroupID() != b.group {
		return
	}
	b.records++
	if b.first == 0 {
		b.first = at
	}
	switch r := r.(type) {
	case *record.OffsetCommit:
		b.commit(at, r)
	case *record.GroupMetadata:
		b.State(at, r.Value)
	}
}

func (b *Builder) commit(at vtime.Instant, r *record.OffsetCommit) {
	tp := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	if r.Value == nil {
		delete(b.commits, tp)
		return
	}
	if _, known := b.commits[tp]; !known && len(b.commits) >= commitsMax {
		return
	}
	if r.Value.CommitTimestamp > 0 {
		at = vtime.FromMillis(r.Value.CommitTimestamp)
	}
	b.commits[tp] = commit{at, r.Value.Offset}
}

// State takes the group as it was at this time: after a rebalance, or when its last member went. nil is a group that was deleted.
func (b *Builder) State(at vtime.Instant, v *record.GroupMetadataValue) {
	was, known := b.last, b.seen
	b.last, b.lastAt, b.seen = v, at, true
	if v == nil {
		b.last, b.open = nil, nil
		if known && was != nil {
			b.deleted(at, was)
		}
		return
	}
	if known && was != nil && was.Generation == v.Generation {
		b.sameGeneration(at, was, v)
		return
	}
	if !known && len(v.Members) == 0 {
		return // the first thing known of the group is that nobody is there
	}
	inc := b.begin(at, was, known, v)
	if o := b.open; o != nil && known && was != nil && at <= o.until && b.completes(o, was, v) {
		b.secondRound(o, at, v)
		return
	}
	b.open = nil
	b.name(&inc, was, known, v)
	b.push(inc)
	if known && was != nil && inc.Cooperative && inc.Moves != nil && inc.Moves.Lost > 0 && len(v.Members) > 0 {
		b.open = &second{incident: len(b.incidents) - 1, before: was, until: at + vtime.Instant(longestRebalance(v))}
	}
}

// begin makes the incident between two records, without its verdict.
func (b *Builder) begin(at vtime.Instant, was *record.GroupMetadataValue, known bool, v *record.GroupMetadataValue) journal.Incident {
	end := journal.Time(at)
	inc := journal.Incident{
		Schema: journal.Schema, Rev: 1, Stage: journal.Closed, Kind: journal.Rebalance, Group: b.group, Source: b.source,
		Began: end, Ended: &end, StateAfter: "Stable", GenerationBefore: -1, GenerationAfter: v.Generation, Rounds: 1,
	}
	if len(v.Members) == 0 {
		inc.StateAfter = "Empty"
	}
	if known {
		inc.StateBefore = "Empty"
		if was != nil {
			inc.GenerationBefore = was.Generation
			if len(was.Members) > 0 {
				inc.StateBefore = "Stable"
			}
		}
		inc.Compare(was, v)
	} else {
		inc.Compare(nil, v)
		inc.MembersBefore, inc.Moves = -1, nil
		for i := range inc.Members {
			inc.Members[i].Change = journal.Stayed
		}
	}
	inc.ID = fmt.Sprintf("%s-g%d", at.Time().Format("20060102T150405.000"), v.Generation)
	return inc
}

// sameGeneration: the record was written anew without a rebalance: a static member came back under a new id.
func (b *Builder) sameGeneration(at vtime.Instant, was, v *record.GroupMetadataValue) {
	inc := b.begin(at, was, true, v)
	inc.Kind, inc.Rounds = journal.Absorbed, 0
	for i := range inc.Members {
		m := inc.Members[i]
		if m.Change != journal.Replaced {
			continue
		}
		who := m.Who
		inc.Trigger = journal.Trigger{At: inc.Began, Kind: journal.StaticReturn, Member: &who}
		f := fact(journal.FactSeatTaken, journal.Measured, who.ID, "it took the seat of "+m.Was+" in the same generation")
		inc.Evidence = append(inc.Evidence, f)
		b.verdict(&inc)
		// Whether the former holder was gone or is being shut out, a record does not tell.
		inc.Or, inc.Confidence = journal.InstanceFenced, journal.ConsistentWith
		inc.Missing = []string{"whether the process that had the seat still runs: then two have one group.instance.id"}
		b.push(inc)
		return
	}
}

func (b *Builder) deleted(at vtime.Instant, was *record.GroupMetadataValue) {
	end := journal.Time(at)
	inc := journal.Incident{Schema: journal.Schema, Rev: 1, Stage: journal.Closed, Kind: journal.Happening, Group: b.group, Source: b.source, Began: end, Ended: &end,
		GenerationBefore: was.Generation, GenerationAfter: -1, MembersBefore: len(was.Members), MembersAfter: 0, StateAfter: "Dead",
		ID: fmt.Sprintf("%s-g%d", at.Time().Format("20060102T150405.000"), was.Generation)}
	inc.Verdict = journal.Verdict{Confidence: journal.NotKnown, Title: "the group was deleted",
		Evidence: []journal.Fact{fact("deleted", journal.Measured, "", "the group's record was removed: by an administrator, or because its last offset had expired")},
		Missing:  []string{"the broker's log (--broker-log)"}}
	b.push(inc)
}

// push keeps an incident; of very many the oldest go.
func (b *Builder) push(inc journal.Incident) {
	b.incidents = append(b.incidents, inc)
	if len(b.incidents) > incidentsMax {
		half := len(b.incidents) / 2
		b.dropped += half
		b.incidents = slices.Clone(b.incidents[half:])
		b.gone, b.open = nil, nil
	}
}

// name finds out what set the rebalance off, as far as two records tell.
func (b *Builder) name(inc *journal.Incident, was *record.GroupMetadataValue, known bool, v *record.GroupMetadataValue) {
	at := vtime.Instant(inc.Began)
	var came, went []journal.Member
	for _, m := range inc.Members {
		switch m.Change {
		case journal.Joined:
			came = append(came, m)
		case journal.Gone:
			went = append(went, m)
		}
	}
	inc.Trigger = journal.Trigger{At: inc.Began, Kind: journal.StateSeen}
	if gap := inc.GenerationAfter - inc.GenerationBefore; known && was != nil && gap > 1 {
		// A generation that ended before its assignment was there leaves no record, and neither does one that compaction has taken.
		unseen := "one generation between the two left no record: it was over before everybody had an assignment, or compaction took it"
		if gap > 2 {
			unseen = fmt.Sprintf("%d generations between the two left no record: they were over before everybody had an assignment, or compaction took them", gap-1)
		}
		inc.Evidence = append(inc.Evidence, fact("generations_unseen", journal.Measured, "", unseen))
	}
	switch {
	// The newer protocol may spend an epoch on making the group.
	case !known && (v.Generation <= 1 || b.newer.used && v.Generation == 2) && len(came)+len(inc.Members) > 0:
		inc.StateBefore = "Empty"
		inc.Trigger.Kind, inc.Trigger.Member = journal.MemberJoined, whoOf(inc.Members[0])
		inc.Evidence = append(inc.Evidence, fact("first_generation", journal.Measured, "", "it is the first generation that the group had members in"), gathered(inc.MembersAfter))
	case !known:
		inc.Evidence = append(inc.Evidence, fact("oldest_record", journal.Measured, "", "it is the oldest record of the group that is left; what was before it is not known"))
	case len(came) > 0 && inc.StateBefore == "Empty":
		inc.Trigger.Kind, inc.Trigger.Member = journal.MemberJoined, whoOf(came[0])
		inc.Evidence = append(inc.Evidence, gathered(inc.MembersAfter))
	case len(went) > 0:
		b.departed(inc, came, went, at)
	case len(came) > 0:
		b.arrived(inc, came, at)
	default:
		b.rejoined(inc, was, v)
	}
	for _, m := range went {
		b.gone = append(b.gone, departure{m.Who, at, len(b.incidents)})
	}
	if len(b.gone) > goneMax {
		b.gone = slices.Clone(b.gone[len(b.gone)-goneMax:])
	}
	b.verdict(inc)
}

func gathered(n int) journal.Fact {
	f := fact(journal.FactGathered, journal.Measured, "", fmt.Sprintf("%d members were there when the first phase ended", n))
	v := float64(n)
	f.Value, f.Unit = &v, "members"
	return f
}

// rejoined: the same members as before. What they subscribe to, or what there is to share, may have changed; otherwise only the broker's log knows.
func (b *Builder) rejoined(inc *journal.Incident, was, v *record.GroupMetadataValue) {
	for _, m := range v.Members {
		i := slices.IndexFunc(was.Members, func(o record.Member) bool { return seat(o) == seat(m) })
		if i < 0 {
			continue
		}
		added, dropped := topicChange(was.Members[i].Subscription, m.Subscription)
		if len(added)+len(dropped) == 0 {
			continue
		}
		who := journal.Who{ID: m.ID, Client: m.ClientID, Host: m.ClientHost, Instance: text(m.InstanceID)}
		inc.Trigger.Kind, inc.Trigger.Member = journal.MemberChanged, &who
		if len(added) > 0 {
			inc.Evidence = append(inc.Evidence, fact(journal.FactTopicsAdded, journal.Measured, m.ID, "it subscribes to "+words(added)+" as well"))
		}
		if len(dropped) > 0 {
			inc.Evidence = append(inc.Evidence, fact(journal.FactTopicsDropped, journal.Measured, m.ID, "it does not subscribe to "+words(dropped)+" any more"))
		}
		return
	}
	if inc.ProtocolBefore != "" && inc.Protocol != inc.ProtocolBefore {
		inc.Trigger.Kind, inc.Trigger.Member = journal.MemberChanged, nil
		inc.Evidence = append(inc.Evidence, fact(journal.FactAssignorsChanged, journal.Measured, "", "the group's assignor was "+inc.ProtocolBefore+" and is "+inc.Protocol))
		return
	}
	if grown := newPartitions(inc); len(grown) > 0 && b.open == nil {
		who := inc.Leader
		inc.Trigger.Kind, inc.Trigger.Member = journal.LeaderRejoined, who
		id := ""
		if who != nil {
			id = who.ID
		}
		n := 0
		for _, tp := range grown {
			n += len(tp.Partitions)
		}
		f := fact(journal.FactPartitionsGrown, journal.Measured, id, fmt.Sprintf("%d partitions of %s have an owner that had none: they are new", n, grown[0].Topic))
		value := float64(n)
		f.Value, f.Unit = &value, "partitions"
		inc.Evidence = append(inc.Evidence, f)
		return
	}
	inc.Evidence = append(inc.Evidence, fact("same_members", journal.Measured, "", "the same members joined again with the same subscriptions"))
}

// newPartitions is what was assigned to nobody before and directly follows partitions of the same topic that were: a topic that grew.
func newPartitions(inc *journal.Incident) (out []journal.TopicPartitions) {
	had := map[string]int32{}
	for _, m := range inc.Members {
		for _, list := range [][]journal.TopicPartitions{m.Kept, m.Lost} {
			for _, tp := range list {
				had[tp.Topic] = max(had[tp.Topic], tp.Partitions[len(tp.Partitions)-1]+1)
			}
		}
	}
	grew := map[string][]int32{}
	for _, p := range inc.Partitions {
		if n := had[p.Topic]; p.From == "" && p.To != "" && n > 0 && p.Partition >= n {
			grew[p.Topic] = append(grew[p.Topic], p.Partition)
		}
	}
	for t, ps := range grew { // any order: sorted below
		out = append(out, journal.TopicPartitions{Topic: t, Partitions: ps})
	}
	slices.SortFunc(out, func(a, b journal.TopicPartitions) int { return compareStrings(a.Topic, b.Topic) })
	return out
}

// completes reports whether v is the second round of the incident: the same members, and what was withheld has owners again.
func (b *Builder) completes(o *second, was, v *record.GroupMetadataValue) bool {
	if len(was.Members) != len(v.Members) {
		return false
	}
	for _, m := range v.Members {
		if !slices.ContainsFunc(was.Members, func(x record.Member) bool { return seat(x) == seat(m) }) {
			return false
		}
	}
	inc := journal.Incident{}
	inc.Compare(was, v)
	return inc.Moves != nil && inc.Moves.Gained > 0 && inc.Moves.Moved == 0
}

// secondRound puts the second round of a cooperative rebalance into the incident of the first.
func (b *Builder) secondRound(o *second, at vtime.Instant, v *record.GroupMetadataValue) {
	inc := &b.incidents[o.incident]
	firstEnd := *inc.Ended
	withheld := 0
	if inc.Moves != nil {
		withheld = inc.Moves.Lost
	}
	trigger, evidence := inc.Trigger, inc.Evidence
	inc.Compare(o.before, v)
	inc.Trigger, inc.Evidence = trigger, evidence
	end := journal.Time(at)
	inc.Ended, inc.Rounds, inc.GenerationAfter, inc.Rev = &end, inc.Rounds+1, v.Generation, inc.Rev+1
	f := fact(journal.FactWithheld, journal.Measured, "", fmt.Sprintf("the first round took %d partitions from their owners; the second, %s later, gave them out", withheld,
		journal.Span(time.Duration(vtime.Instant(end)-vtime.Instant(firstEnd)))))
	inc.Evidence = append(inc.Evidence, f)
	b.open = nil
	// A classification of the whole would take the withheld partitions for the trigger; it was settled with the first round.
}

// verdict lets the journal's rules name the cause, and says what is missing where two records do not tell.
func (b *Builder) verdict(inc *journal.Incident) {
	journal.Classify(inc)
	journal.Advise(inc)
	if inc.Confidence == journal.Measured && inc.Kind == journal.Rebalance && inc.Cause != journal.SubscriptionChange && inc.Cause != journal.AssignorChange {
		inc.Confidence = journal.Inferred // the records say what was before and after, not what happened between
	}
	if inc.Cause == journal.Unknown {
		inc.Title = journal.Unknown.Title()
		inc.Missing = append(inc.Missing, "the reason: only the broker's own log has it (--broker-log)")
	}
}

// Incidents are those whose records were read, in order. They are copies as far as the Builder goes on changing them.
func (b *Builder) Incidents() []journal.Incident { return slices.Clone(b.incidents) }

// Reach is when the oldest record that was read was written, 0 for none, and how many records and how many incidents that were left out there were.
func (b *Builder) Reach() (first vtime.Instant, records, dropped int) {
	return b.first, b.records, b.dropped
}

// Last is the group as its last record has it, nil if there is none.
func (b *Builder) Last() *record.GroupMetadataValue { return b.last }

func longestRebalance(v *record.GroupMetadataValue) time.Duration {
	d := time.Duration(0)
	for _, m := range v.Members {
		d = max(d, m.RebalanceTimeout, m.SessionTimeout)
	}
	return min(d, 30*time.Minute)
}

// seat is who a member is across restarts.
func seat(m record.Member) string {
	if m.InstanceID != nil {
		return "static " + *m.InstanceID
	}
	return m.ID
}

// topicChange compares two subscriptions; nothing if one cannot be read.
func topicChange(was, is []byte) (added, dropped []string) {
	a, errA := assign.DecodeSubscription(was)
	b, errB := assign.DecodeSubscription(is)
	if errA != nil || errB != nil {
		return nil, nil
	}
	for _, t := range b.Topics {
		if !slices.Contains(a.Topics, t) {
			added = append(added, t)
		}
	}
	for _, t := range a.Topics {
		if !slices.Contains(b.Topics, t) {
			dropped = append(dropped, t)
		}
	}
	slices.Sort(added)
	slices.Sort(dropped)
	return added, dropped
}
