package groups

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Truth is what was written and acknowledged: Truth[partition][offset] is the value.
type Truth [][]string

// Delivered finds records that nobody handed on, and records that arrived as something else than was written.
func Delivered(events []Event, truth Truth) []string {
	seen := make([][]bool, len(truth))
	for p := range truth {
		seen[p] = make([]bool, len(truth[p]))
	}
	var faults []string
	for _, e := range events {
		if e.Kind != GotRecord {
			continue
		}
		if int(e.Partition) >= len(truth) || e.Offset < 0 || e.Offset >= int64(len(truth[e.Partition])) {
			faults = append(faults, fmt.Sprintf("%s handed on %d@%d, which nobody wrote", e.Member, e.Partition, e.Offset))
			continue
		}
		if want := truth[e.Partition][e.Offset]; e.Value != want {
			faults = append(faults, fmt.Sprintf("%s handed on %d@%d as %q, written as %q", e.Member, e.Partition, e.Offset, e.Value, want))
		}
		seen[e.Partition][e.Offset] = true
	}
	for p := range seen {
		for o, ok := range seen[p] {
			if !ok {
				faults = append(faults, fmt.Sprintf("record %d@%d is lost", p, o))
			}
		}
	}
	return faults
}

// Ordered finds a member that hands on, between getting a partition and giving it up, anything but one offset after the other, or anything of
// a partition that it does not own.
func Ordered(events []Event) []string {
	type key struct {
		member    string
		partition int32
	}
	next := map[key]int64{} // -1: owned, nothing handed on yet
	var faults []string
	for _, e := range events {
		switch e.Kind {
		case Assigned:
			for _, p := range e.Partitions {
				next[key{e.Member, p}] = -1
			}
		case Revoked, Lost:
			for _, p := range e.Partitions {
				delete(next, key{e.Member, p})
			}
		case Dead:
			for k := range next {
				if k.member == e.Member {
					delete(next, k)
				}
			}
		case GotRecord:
			k := key{e.Member, e.Partition}
			n, owned := next[k]
			switch {
			case !owned:
				faults = append(faults, fmt.Sprintf("%s handed on %d@%d and does not own the partition", e.Member, e.Partition, e.Offset))
			case n >= 0 && e.Offset != n:
				faults = append(faults, fmt.Sprintf("%s handed on %d@%d where %d belongs", e.Member, e.Partition, e.Offset, n))
			}
			if owned {
				next[k] = e.Offset + 1
			}
		}
	}
	return faults
}

// byTime is the events of all members in the order of their times; at one time, whoever gives up comes first.
func byTime(events []Event) []Event {
	out := slices.Clone(events)
	rank := func(e Event) int {
		if e.Kind == Assigned {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b Event) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return rank(a) - rank(b)
	})
	return out
}

// OneOwner finds a partition that two members own at a time. A member that was stopped, or is asleep over a record, may believe for too long that it owns something: that is why
// its commits are refused, and no fault of the group.
func OneOwner(events []Event) []string {
	owners := map[int32]map[string]bool{}
	unaware := map[string]bool{} // stopped or asleep since, and not told of it yet
	drop := func(p int32, member string) { delete(owners[p], member) }
	var faults []string
	for _, e := range byTime(events) {
		switch e.Kind {
		case Suspended, Sleeping:
			unaware[e.Member] = true
		case Revoked, Lost:
			for _, p := range e.Partitions {
				drop(p, e.Member)
			}
			delete(unaware, e.Member)
		case Dead:
			for p := range owners {
				drop(p, e.Member)
			}
		case Assigned:
			for _, p := range e.Partitions {
				if owners[p] == nil {
					owners[p] = map[string]bool{}
				}
				for other := range owners[p] {
					if other != e.Member && !unaware[other] {
						faults = append(faults, fmt.Sprintf("%s was assigned %d at %s while %s owned it", e.Member, p, e.Time().Format("15:04:05.000"), other))
					}
				}
				owners[p][e.Member] = true
			}
		}
	}
	sort.Strings(faults)
	return faults
}

// Relayed puts right the times of members whose events were read from what they printed, some time after they happened. A member that gives up what
// it owns does so before it asks to join again or leaves: what it said of that later, it said late.
func Relayed(events []Event, exchanges []Exchange) []Event {
	out := slices.Clone(events)
	began := map[string]time.Time{} // of what a member owns now
	for i, e := range out {
		switch e.Kind {
		case Assigned:
			began[e.Member] = e.Time()
		case Revoked, Lost:
			for _, x := range exchanges { // in their order
				if x.Member != e.Member || !x.Asked.After(began[e.Member]) || x.Asked.After(out[i].Time()) {
					continue
				}
				switch x.Request.(type) {
				case *kmsg.JoinGroupRequest, *kmsg.LeaveGroupRequest:
					out[i].At = x.Asked.UnixMicro()
				}
			}
		}
	}
	return out
}

// Repeated counts the records that were handed on more than once.
func Repeated(events []Event) (n int, first string) {
	type at struct {
		p int32
		o int64
	}
	by := map[at]string{}
	for _, e := range events {
		if e.Kind != GotRecord {
			continue
		}
		k := at{e.Partition, e.Offset}
		if who, again := by[k]; again {
			if n++; first == "" {
				first = fmt.Sprintf("%d@%d by %s and by %s", k.p, k.o, who, e.Member)
			}
		}
		by[k] = e.Member
	}
	return n, first
}

// Committed judges the offsets as they passed on the wire: an accepted commit never moves a partition back, none is beyond what the group handed on by then, and
// whoever asks for an offset is told one that was accepted last, or one that was on its way. It returns the last accepted offsets.
func Committed(exchanges []Exchange, events []Event, topic string) (last map[int32]int64, faults []string) {
	type commit struct {
		partition       int32
		offset          int64
		asked, answered time.Time
		member          string
	}
	var accepted []commit
	for _, x := range exchanges {
		req, ok := x.Request.(*kmsg.OffsetCommitRequest)
		if !ok {
			continue
		}
		offsets := map[int32]int64{}
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				if t.Topic == topic || t.Topic == "" { // by id from version 10 on
					offsets[p.Partition] = p.Offset
				}
			}
		}
		resp, ok := x.Response.(*kmsg.OffsetCommitResponse)
		if !ok { // never answered: it may have been accepted
			for p, o := range offsets {
				accepted = append(accepted, commit{p, o, x.Asked, time.Time{}, x.Member})
			}
			continue
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if o, asked := offsets[p.Partition]; asked && p.ErrorCode == 0 {
					accepted = append(accepted, commit{p.Partition, o, x.Asked, x.Answered, x.Member})
				}
			}
		}
	}
	slices.SortStableFunc(accepted, func(a, b commit) int { return a.asked.Compare(b.asked) })
	last = map[int32]int64{}
	for _, c := range accepted {
		if c.answered.IsZero() {
			continue
		}
		if before, ok := last[c.partition]; ok && c.offset < before {
			faults = append(faults, fmt.Sprintf("%s moved the offset of %d back from %d to %d, and it was accepted", c.member, c.partition, before, c.offset))
		}
		last[c.partition] = c.offset
	}
	reached := map[int32]int64{}
	for _, e := range events {
		if e.Kind == GotRecord {
			reached[e.Partition] = max(reached[e.Partition], e.Offset+1)
		}
	}
	for p, o := range last {
		if o > reached[p] {
			faults = append(faults, fmt.Sprintf("%d is committed to %d, and %d is the first that nobody handed on", p, o, reached[p]))
		}
	}
	for _, x := range exchanges {
		resp, ok := x.Response.(*kmsg.OffsetFetchResponse)
		if !ok {
			continue
		}
		for p, got := range fetched(resp, topic) {
			// What may be told: the last one answered before the question, and all that were open or accepted until the answer.
			may := []int64{-1}
			for _, c := range accepted {
				switch {
				case c.partition != p || c.asked.After(x.Answered):
				case !c.answered.IsZero() && c.answered.Before(x.Asked):
					may = []int64{c.offset}
				default:
					may = append(may, c.offset)
				}
			}
			if !slices.Contains(may, got) {
				faults = append(faults, fmt.Sprintf("%s asked for the offset of %d at %s and was told %d; accepted were %v", x.Member, p, x.Asked.Format("15:04:05.000"), got, may))
			}
		}
	}
	sort.Strings(faults)
	return last, faults
}

// fetched are the offsets that an answer tells without an error.
func fetched(resp *kmsg.OffsetFetchResponse, topic string) map[int32]int64 {
	out := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if t.Topic == topic && p.ErrorCode == 0 {
				out[p.Partition] = p.Offset
			}
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if (t.Topic == topic || t.Topic == "") && p.ErrorCode == 0 { // by id from version 10 on
					out[p.Partition] = p.Offset
				}
			}
		}
	}
	return out
}

// Owned is what each member owns after these events, by its own callbacks.
func Owned(events []Event) map[string]map[int32]bool {
	out := map[string]map[int32]bool{}
	for _, e := range events {
		if out[e.Member] == nil {
			out[e.Member] = map[int32]bool{}
		}
		switch e.Kind {
		case Assigned:
			for _, p := range e.Partitions {
				out[e.Member][p] = true
			}
		case Revoked, Lost:
			for _, p := range e.Partitions {
				delete(out[e.Member], p)
			}
		case Dead:
			delete(out, e.Member)
		}
	}
	return out
}

// Balanced is true when the members own all partitions together, each at least one and none twice. Others may believe what they like.
func Balanced(events []Event, partitions int, members ...string) bool {
	owned := Owned(events)
	count := map[int32]int{}
	for _, m := range members {
		if len(owned[m]) == 0 {
			return false
		}
		for p := range owned[m] {
			count[p]++
		}
	}
	for p := range int32(partitions) {
		if count[p] != 1 {
			return false
		}
	}
	return len(count) == partitions
}
