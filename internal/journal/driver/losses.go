package driver

import "github.com/barnabas-mq/barnabas/internal/journal"

// losses counts what is missing in the journal, group by group, so that the next record of a group can say so.
type losses struct {
	since journal.Time
	by    map[string]*lost
	rest  lost // of groups for which there was no room
}

type lost struct{ records, notes int64 }

// lossesMax bounds the groups that are counted one by one. Above it the others are counted together, and each is said to have lost what they all did.
const lossesMax = 10_000

func (l *losses) add(group string, records, notes int64) {
	one := l.by[group]
	switch {
	case one != nil:
	case len(l.by) >= lossesMax:
		one = &l.rest
	default:
		if l.by == nil {
			l.by = map[string]*lost{}
		}
		one = &lost{}
		l.by[group] = one
	}
	one.records += records
	one.notes += notes
}

// of is what the group's next record says; nil for nothing.
func (l *losses) of(group string) *journal.JournalLost {
	one := l.by[group]
	if one == nil {
		one = &l.rest
	}
	if *one == (lost{}) {
		return nil
	}
	return &journal.JournalLost{Since: l.since, Records: one.records, Notes: one.notes}
}
