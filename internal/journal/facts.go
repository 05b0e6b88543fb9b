package journal

// FactID names a kind of fact. Classification and advice go by these, so whoever makes incidents from another source gives the facts it has
// under the same names.
type FactID string

// The facts. In brackets: the unit of Value.
const (
	// What was claimed.
	FactClaimed FactID = "claimed_reason" // the reason a client gave

	// Of a member that went.
	FactSilence          FactID = "silence"            // since its last request of any kind [ms]
	FactHeartbeatsInTime FactID = "heartbeats_in_time" // it was heard of well within its session when it left
	FactSession          FactID = "session_timeout"    // [ms]
	FactRebalanceTimeout FactID = "rebalance_timeout"  // of the member; max.poll.interval.ms of Java and librdkafka [ms]
	FactConnectionOpen   FactID = "connection_open"    // its client's connection was open when it went
	FactConnectionClosed FactID = "connection_closed"  // it was closed at about that time
	FactFetchSilence     FactID = "fetch_silence"      // since its client last asked for records of its partitions, whether there were any or not [ms]
	FactCommitSilence    FactID = "commit_silence"     // since the last commit of one of its partitions [ms]
	FactNothingToDo      FactID = "nothing_to_do"      // its partitions had no records to read
	FactNeighbours       FactID = "neighbours"         // members that went within seconds of it on the same host [members]
	FactEverybody        FactID = "everybody"          // all members went within seconds
	FactRemovedBy        FactID = "removed_by"         // who asked for the removal
	FactOldIDUsed        FactID = "old_id_used"        // it sent a request under its old id afterwards: it was alive [ms after]
	FactCameBack         FactID = "came_back"          // the same client joined again [ms after]
	FactStayedAway       FactID = "stayed_away"        // nobody like it joined [ms waited]

	// Of a member that came.
	FactReturns     FactID = "returns"      // the same client went before; Cause is why [ms away]
	FactLateStart   FactID = "late_start"   // the group's first start ended shortly before [ms]
	FactSeatTaken   FactID = "seat_taken"   // a static member's seat; [ms since the last request under the old id]
	FactOldFenced   FactID = "old_fenced"   // the former holder of the seat was alive and was shut out [times]
	FactUnknownSeat FactID = "unknown_seat" // it used a member id that the group had given up

	// Of a member that joined again.
	FactTopicsAdded      FactID = "topics_added"       // in its subscription
	FactTopicsDropped    FactID = "topics_dropped"     // from its subscription
	FactTopicCreated     FactID = "topic_created"      // a topic of those was created since the last rebalance
	FactTopicDeleted     FactID = "topic_deleted"      // a topic of those is not there any more
	FactAssignorsChanged FactID = "assignors_changed"  // its list of protocols is another one
	FactOnlyOwnedChanged FactID = "only_owned_changed" // what it said differs in what it owns or in the assignor's own data only
	FactNothingChanged   FactID = "nothing_changed"    // it said the same to the byte
	FactPartitionsGrown  FactID = "partitions_grown"   // a topic has more partitions than were assigned [partitions more]
	FactWithheld         FactID = "withheld"           // partitions that the round before took and gave to nobody [partitions]
	FactProtocolFlipped  FactID = "protocol_flipped"   // the group's assignor is another one

	// Of the rebalance.
	FactGathered      FactID = "gathered"        // members when the first phase ended [members]
	FactArrivalGap    FactID = "arrival_gap"     // the longest time between two arrivals of a first start [ms]
	FactWaited        FactID = "waited"          // how long everybody waited for Member [ms]
	FactLeaderLate    FactID = "leader_late"     // from the end of the join phase until the leader was given up, or handed in [ms]
	FactLoaded        FactID = "loaded"          // the coordinator had read the group from its log [ms ago]
	FactGenerationIs  FactID = "generation_kept" // the generation is what it was before the coordinator moved
	FactLost          FactID = "lost"            // the coordinator went away in the middle
	FactCommitRefused FactID = "commit_refused"  // a commit of the member was refused
	FactRefused       FactID = "refused"         // a request was refused: code and why
	FactLimit         FactID = "limit"           // a setting that was in the way
	FactExpired       FactID = "expired"         // partitions whose offsets expired [partitions]
	FactIdle          FactID = "idle"            // members without partitions afterwards [members]

	// From the application's side: given by a person, or found in a client's log.
	FactRecordTime FactID = "record_time" // time per record [ms]
	FactBatch      FactID = "batch"       // records per poll: max.poll.records [records]
	FactHeartbeat  FactID = "heartbeat"   // heartbeat.interval.ms [ms]
	FactPause      FactID = "pause"       // the longest known pause of the process [ms]
)

func newFact(id FactID, basis Confidence, member, text string) Fact {
	return Fact{ID: id, Text: text, Basis: basis, Member: member}
}

// num gives the fact its number.
func (f Fact) num(v float64, unit string) Fact {
	f.Value, f.Unit = &v, unit
	return f
}

// ms gives the fact a length of time as its number.
func (f Fact) ms(m Millis) Fact {
	return f.num(float64(m.D().Microseconds())/1000, "ms")
}

// Fact finds a fact by its id, about a member; member "" takes the first about anybody.
func (inc *Incident) Fact(id FactID, member string) (Fact, bool) {
	for _, f := range inc.Evidence {
		if f.ID == id && (member == "" || f.Member == member) {
			return f, true
		}
	}
	return Fact{}, false
}

// has reports whether there is such a fact.
func (inc *Incident) has(id FactID, member string) bool {
	_, ok := inc.Fact(id, member)
	return ok
}

// amount is the number of a fact; ok is false without one.
func (inc *Incident) amount(id FactID, member string) (float64, bool) {
	f, ok := inc.Fact(id, member)
	if !ok || f.Value == nil {
		return 0, false
	}
	return *f.Value, true
}

// length is the length of time of a fact.
func (inc *Incident) length(id FactID, member string) (Millis, bool) {
	v, ok := inc.amount(id, member)
	return millis(v), ok
}

// millis is a number of milliseconds; what does not fit is cut to what does.
func millis(v float64) Millis {
	const most = 9e12
	return Millis(min(max(v, -most), most) * 1e6)
}

// AddFact adds a fact, or replaces the one of the same id about the same member.
func (inc *Incident) AddFact(f Fact) {
	for i := range inc.Evidence {
		if inc.Evidence[i].ID == f.ID && inc.Evidence[i].Member == f.Member {
			inc.Evidence[i] = f
			return
		}
	}
	inc.Evidence = append(inc.Evidence, f)
}
