package sim

// How much work a scenario will be. What would take days is refused, with the limit, before it begins.

// stepsMax bounds the work of a run: heartbeats, commits by the clock, flushes and batches of records of all members over the whole time.
const stepsMax = 2_000_000_000

// drawsOfStep is how many times of records are drawn in the time of an event.
const drawsOfStep = 50

// load is what there is to read.
type load struct{ backlog, records int64 }

// loads is what there is to read in each topic, of which most is how many partitions it will have, and in all of them.
func (s *Scenario) loads(most []int64) (each []load, all load) {
	each = make([]load, len(s.Topics))
	for i, t := range s.Topics {
		each[i] = load{most[i] * t.Backlog, most[i] * (t.Backlog + mulDiv(int64(t.Rate), int64(s.Duration), 1e15))}
		all = all.add(each[i])
	}
	return each, all
}

func (l load) add(o load) load { return load{l.backlog + o.backlog, l.records + o.records} }

// steps is about how many events the members of a fleet, which reads so much, will be.
func (s *Scenario) steps(m Members, reads load) int64 {
	members, span := m.Count*m.Consumers, int64(s.Duration)
	n := members * (span/int64(m.Heartbeat) + span/int64(m.AutoCommitEvery))
	if m.FlushEvery > 0 {
		return n + members*(span/int64(m.FlushEvery))
	}
	backlog, records := reads.backlog, reads.records
	pace := int64(max(m.Processing.mean(), quickest))
	able := mulDiv(members, span, pace) // so many records can they do
	poll := m.MaxPollRecords
	if m.Client == "librdkafka" || m.Commit == "record" && pace >= int64(grain) {
		poll = 1
	}
	poll = max(poll, int64(grain)/pace)
	drawn := int64(0) // records with times of their own
	switch {
	case records >= able: // they are always behind, and get full polls
		drawn = able
		n += able / poll
	case pace >= int64(grain): // each record is an event when it comes
		drawn = records
		n += records
	default: // records flow, once what lies there is worked off
		drawn = min(able, backlog)
		n += drawn / poll
	}
	if m.PoisonEvery > 0 {
		n += min(members*(span/int64(grain)), records/m.PoisonEvery)
	}
	if (m.Processing.Kind != constant || m.PoisonEvery > 0) && poll <= drawsMost {
		n += drawn / drawsOfStep
	}
	return n
}
