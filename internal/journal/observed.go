package journal

import (
	"github.com/barnabas-mq/barnabas/internal/coord/record"
)

// Compare fills in the members, the partitions and the moves of an incident from the group's records before and after it. It is for those who
// read another broker's log and have seen nothing else: nothing that is not in the two records is filled in. before nil is a group without
// members; after nil as well.
func (inc *Incident) Compare(before, after *record.GroupMetadataValue) {
	if before == nil {
		before = &record.GroupMetadataValue{}
	}
	if after == nil {
		after = &record.GroupMetadataValue{}
	}
	inc.MembersBefore, inc.MembersAfter = len(before.Members), len(after.Members)
	inc.Members, inc.Partitions, inc.Moves, inc.Cost = nil, nil, nil, nil
	seats := map[string]int{}
	add := func(m record.Member, c Change) {
		key := seatKey(m.ID, deref(m.InstanceID))
		if i, there := seats[key]; there {
			if inc.Members[i].ID != m.ID {
				was := inc.Members[i].ID
				inc.Members[i] = observed(m, Replaced)
				inc.Members[i].Was = was
			} else {
				inc.Members[i].Change = Stayed
			}
			return
		}
		seats[key] = len(inc.Members)
		inc.Members = append(inc.Members, observed(m, c))
	}
	for _, m := range before.Members {
		add(m, Gone)
	}
	for _, m := range after.Members {
		add(m, Joined)
	}
	inc.ProtocolType = after.ProtocolType
	if inc.ProtocolType == "" {
		inc.ProtocolType = before.ProtocolType
	}
	inc.Protocol, inc.ProtocolBefore = deref(after.Protocol), deref(before.Protocol)
	inc.Cooperative = cooperative(inc.ProtocolType, inc.Protocol)
	inc.Leader = nil
	d := decode(after, Config{}.withDefaults().PartitionsMax)
	at := map[string]int{}
	if d != nil {
		for k, key := range d.keys {
			at[key] = k
		}
	}
	for i := range inc.Members {
		m := &inc.Members[i]
		if id := deref(after.Leader); id != "" && m.ID == id {
			m.Leader, inc.Leader = true, &inc.Members[i].Who
		}
		if d != nil {
			if k, ok := at[seatKey(m.ID, m.Instance)]; ok {
				m.Topics = d.topics[k]
			}
		}
	}
	b := &building{before: before, hasBefore: true, after: after, hasAfter: true, parts: make([]*part, len(inc.Members))}
	b.inc.Cooperative = inc.Cooperative
	b.assignments(Config{}.withDefaults(), inc)
}

// observed is a member as its group's record has it.
func observed(m record.Member, c Change) Member {
	session, rebalance := Millis(m.SessionTimeout), Millis(m.RebalanceTimeout)
	out := Member{Who: Who{ID: m.ID, Client: m.ClientID, Host: m.ClientHost, Instance: deref(m.InstanceID)}, Change: c}
	if session > 0 {
		out.SessionTimeout = &session
	}
	if rebalance >= 0 {
		out.RebalanceTimeout = &rebalance
	}
	return out
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
