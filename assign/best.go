package assign

import "slices"

// best writes the optimal plan for members who say in lists, with so many entries in all, what they hold. With hold, a partition that one
// member gets and another still claims goes to nobody yet.
//
// There are three ways to the same plan. From nothing it is dealt. A group that is steady has it found without asking who owns what. In any
// other the claims are weighed, and what is not even is solved as a flow.
func (o *output[E]) best(entries int, hold bool) {
	parts := o.components()
	even := allEven(parts)
	if even && entries == 0 {
		o.deal(parts)
		return
	}
	if even {
		if s := newSteady(o.problem, o.dialect, entries, hold); s.plan(parts) {
			o.edit(s.gains, &s.lists)
			return
		}
	}
	cl, l := claimLists(o.problem, o.dialect, entries)
	owner := slices.Clone(o.owner)
	plan := o.solve(parts)
	if hold {
		cl.withhold(plan, owner)
	}
	if o.owned == 0 || !cl.tidy {
		o.write(plan)
		return
	}
	moved := 0
	for p, m := range plan {
		if owner[p] != m {
			moved++
		}
	}
	changes := make([]change, 0, 2*moved)
	for p, m := range plan {
		if was := owner[p]; was != m {
			if was >= 0 {
				changes = append(changes, change{was, int32(p), false})
			}
			if m >= 0 {
				changes = append(changes, change{m, int32(p), true})
			}
		}
	}
	o.edit(changes, &l)
}

func allEven(parts []component) bool {
	return !slices.ContainsFunc(parts, func(c component) bool { return !c.even })
}
