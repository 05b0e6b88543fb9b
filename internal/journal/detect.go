package journal

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// What only a history shows. The rules are those of the table in causes.go; each finding carries the numbers it rests on.

// Window is what the detectors look at besides the incidents. Its zero value is "the incidents alone".
type Window struct {
	// From and To bound the history; zero takes the first and the last incident's.
	From, To Time
	// Live is what the group's members do now, for what no incident shows.
	Live []LiveOwner
	// StuckAfter is how long an owned partition may see neither fetch nor commit while lag grows; 60 s by default.
	StuckAfter time.Duration
}

// LiveOwner is a member that owns a partition now.
type LiveOwner struct {
	Who
	Group     string
	Topic     string
	Partition int32
	// Lag is the lag now, LagBefore what it was StuckAfter ago or earlier.
	Lag, LagBefore int64
	// CommitSilence and FetchSilence are how long nothing was committed and fetched; nil: not known.
	CommitSilence, FetchSilence *Millis
}

// Thresholds of the detectors.
const (
	stormCount     = 5
	stormWindow    = 10 * time.Minute
	stormShare     = 0.2
	flapCount      = 3
	flapWindow     = 30 * time.Minute
	loopCycles     = 3
	unevenFactor   = 1.5
	hotShare       = 0.5
	hotLagMin      = 100 // records; below it one partition may well hold most of it
	lagShare       = 0.5
	wastedFactor   = 2
	swingCount     = 4
	swingSteady    = 0.35
	togetherWindow = 5 * time.Second
)

// Detect looks for what a history shows, in the order of the detectors. The incidents may be of several groups, each in its highest rev; their order
// does not matter.
func Detect(incidents []Incident, w Window) []Finding {
	all := slices.Clone(incidents)
	slices.SortStableFunc(all, func(a, b Incident) int {
		return cmp.Or(cmp.Compare(a.Began, b.Began), cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID))
	})
	if len(all) > 0 {
		if w.From == 0 {
			w.From = all[0].Began
		}
		for _, inc := range all {
			if inc.Ended != nil && *inc.Ended > w.To {
				w.To = *inc.Ended
			}
		}
	}
	if w.StuckAfter <= 0 {
		w.StuckAfter = time.Minute
	}
	var groups []string
	byGroup := map[string]*history{}
	for i := range all {
		h := byGroup[all[i].Group]
		if h == nil {
			h = &history{group: all[i].Group, window: w}
			byGroup[all[i].Group] = h
			groups = append(groups, all[i].Group)
		}
		h.all = append(h.all, &all[i])
		if all[i].Kind == Rebalance {
			h.rebalances = append(h.rebalances, &all[i])
		}
	}
	slices.Sort(groups)
	var out []Finding
	for _, name := range groups {
		h := byGroup[name]
		for _, detect := range []func(){h.storm, h.flapping, h.restartLoop, h.neverStable, h.livelock, h.idle, h.uneven, h.hot, h.lagByRebalance, h.duplicates, h.wasted, h.swing} {
			detect()
		}
		out = append(out, h.found...)
	}
	out = append(out, stuck(w)...)
	out = append(out, together(all)...)
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Detector, b.Detector))
	})
	return out
}

// history is the incidents of one group, oldest first.
type history struct {
	group           string
	window          Window
	all, rebalances []*Incident
	found           []Finding
}

func (h *history) add(d Detector, of []*Incident, member *Who, text string, facts ...Fact) *Finding {
	f := Finding{Detector: d, Title: d.Title(), Group: h.group, Text: text, Member: member, Evidence: facts}
	for _, inc := range of {
		if f.From == 0 || inc.Began < f.From {
			f.From = inc.Began
		}
		f.To = max(f.To, end(inc))
		f.Incidents = append(f.Incidents, inc.ID)
	}
	h.found = append(h.found, f)
	return &h.found[len(h.found)-1]
}

func end(inc *Incident) Time {
	if inc.Ended != nil {
		return *inc.Ended
	}
	return inc.Began
}

// apart is the time from one moment to a later one.
func apart(from, to Time) time.Duration { return to.Instant().Since(from.Instant()) }

// storm: D01.
func (h *history) storm() {
	best := []*Incident(nil)
	for i := range h.rebalances {
		j := i
		for j < len(h.rebalances) && apart(h.rebalances[i].Began, h.rebalances[j].Began) <= stormWindow {
			j++
		}
		if j-i > len(best) {
			best = h.rebalances[i:j]
		}
	}
	var unstable time.Duration
	for _, inc := range h.rebalances {
		if inc.Took != nil {
			unstable += inc.Took.D()
		}
	}
	whole := apart(h.window.From, h.window.To)
	share := 0.0
	if whole >= stormWindow {
		share = float64(unstable) / float64(whole)
	}
	if len(best) < stormCount && share < stormShare {
		return
	}
	if len(best) < stormCount {
		best = h.rebalances
	}
	cause, who, n := top(best)
	text := fmt.Sprintf("%s within %s; most often %s", count(len(best), "rebalance", "rebalances"), Span(apart(best[0].Began, end(best[len(best)-1]))), cause.Title())
	if who != nil {
		text += fmt.Sprintf(", most of all by %s (%s)", clean(who.Name()), count(n, "time", "times"))
	}
	facts := []Fact{newFact("rebalances", Measured, "", "rebalances within ten minutes").num(float64(len(best)), "rebalances")}
	if whole >= stormWindow {
		facts = append(facts, newFact("unstable_share", Measured, "", fmt.Sprintf("%.0f%% of the time was spent rebalancing", 100*share)).num(100*share, "percent"))
	}
	f := h.add(Storm, best, who, text, facts...)
	f.Advice = adviceOf(best, cause)
}

// top is the cause named most often, and among its incidents the member named most often.
func top(of []*Incident) (Cause, *Who, int) {
	causes := map[Cause]int{}
	for _, inc := range of {
		causes[inc.Cause]++
	}
	best := Unknown
	for _, inc := range of { // in order, so that of equals the first counts
		if causes[inc.Cause] > causes[best] || causes[best] == 0 {
			best = inc.Cause
		}
	}
	var who *Who
	members, most := map[string]int{}, 0
	for _, inc := range of {
		if w := inc.subject(); inc.Cause == best && w != nil {
			if members[personOf(inc, *w)]++; members[personOf(inc, *w)] > most {
				most, who = members[personOf(inc, *w)], w
			}
		}
	}
	return best, who, most
}

// personOf is who a member of an incident is across its lives: its instance id; else its client id and host, unless others have the same.
func personOf(inc *Incident, w Who) string {
	if w.Instance != "" {
		return "instance " + w.Instance
	}
	shared := slices.ContainsFunc(inc.Members, func(m Member) bool {
		return m.ID != w.ID && m.Was != w.ID && m.Instance == "" && m.Client == w.Client && m.Host == w.Host
	})
	if w.Client == "" || shared {
		return "id " + w.ID
	}
	return "client " + w.Client + " " + w.Host
}

// adviceOf is the advice of the latest incident of a cause.
func adviceOf(of []*Incident, c Cause) []Advice {
	for i := len(of) - 1; i >= 0; i-- {
		if of[i].Cause == c && len(of[i].Advice) > 0 {
			return of[i].Advice
		}
	}
	return nil
}

// people groups rebalances by whom they are about, in the order of the first of each.
func (h *history) people(take func(*Incident) bool) (out [][]*Incident) {
	at := map[string]int{}
	for _, inc := range h.rebalances {
		w := inc.subject()
		if w == nil || !take(inc) {
			continue
		}
		p := personOf(inc, *w)
		i, known := at[p]
		if !known {
			i = len(out)
			at[p] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], inc)
	}
	return out
}

// flapping: D02.
func (h *history) flapping() {
	for _, of := range h.people(func(inc *Incident) bool { return inc.Cause != FirstStart }) {
		for i := 0; i+flapCount <= len(of); i++ {
			j := i + flapCount
			if apart(of[i].Began, of[j-1].Began) > flapWindow {
				continue
			}
			for j < len(of) && apart(of[i].Began, of[j].Began) <= flapWindow {
				j++
			}
			period := medianGap(of[i:j])
			w := of[i].subject()
			h.add(FlappingMember, of[i:j], w, fmt.Sprintf("%s set off %s within %s, one every %s or so", clean(w.Name()), count(j-i, "rebalance", "rebalances"), Span(apart(of[i].Began, of[j-1].Began)), Span(period)),
				newFact("period", Measured, w.ID, "median time from one to the next").ms(Millis(period)))
			break
		}
	}
}

func medianGap(of []*Incident) time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(of); i++ {
		gaps = append(gaps, apart(of[i-1].Began, of[i].Began))
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// went reports whether the incident is about a member that went away.
func went(inc *Incident) bool {
	switch inc.Trigger.Kind {
	case MemberLeft, SessionExpired, JoinExpired, SyncExpired:
		return true
	}
	return false
}

// offsetsOf is the committed offsets of the partitions that a member lost.
func offsetsOf(inc *Incident) map[string]int64 {
	w := inc.subject()
	if w == nil {
		return nil
	}
	out := map[string]int64{}
	for _, p := range inc.Partitions {
		if p.From == w.ID && p.Committed != nil {
			out[fmt.Sprintf("%s-%d", p.Topic, p.Partition)] = *p.Committed
		}
	}
	return out
}

// standstill finds a partition whose committed offset is the same in all of the incidents.
func standstill(of []*Incident) (partition string, offset int64, ok bool) {
	first := offsetsOf(of[0])
	var names []string
	for tp := range first { // any order: sorted below
		names = append(names, tp)
	}
	slices.Sort(names)
next:
	for _, tp := range names {
		for _, inc := range of[1:] {
			if at, known := offsetsOf(inc)[tp]; !known || at != first[tp] {
				continue next
			}
		}
		return tp, first[tp], true
	}
	return "", 0, false
}

// restartLoop: D03.
func (h *history) restartLoop() {
	for _, of := range h.people(went) {
		var gone []*Incident
		for _, inc := range of {
			if inc.Cause == SessionTimeout || inc.Cause == GracefulClose || inc.Cause == RollingRestart {
				gone = append(gone, inc)
			}
		}
		if len(gone) < loopCycles {
			continue
		}
		gone = gone[len(gone)-loopCycles:]
		tp, at, ok := standstill(gone)
		if !ok {
			continue
		}
		w := gone[0].subject()
		f := h.add(RestartLoop, gone, w, fmt.Sprintf("%s went away %s, about every %s, and the next record of %s was offset %d each time: it gets nowhere", clean(w.Name()), count(len(gone), "time", "times"), Span(medianGap(gone)), tp, at),
			newFact("standstill", Measured, w.ID, fmt.Sprintf("the committed offset of %s was %d each time", tp, at)).num(float64(at), "offset"))
		f.Advice = []Advice{{Text: fmt.Sprintf("Look at the record at offset %d of %s, and at the exit code of the process: a record that kills it, memory, or configuration.", at, tp)}}
	}
}

// neverStable: D04.
func (h *history) neverStable() {
	if len(h.rebalances) < 4 {
		return
	}
	var limit time.Duration
	for _, inc := range h.rebalances {
		for _, m := range inc.Members {
			if m.RebalanceTimeout != nil {
				limit = max(limit, 2*m.RebalanceTimeout.D())
			}
		}
	}
	if limit <= 0 {
		return
	}
	run := h.rebalances[:1]
	for i := 1; i < len(h.rebalances); i++ {
		if apart(end(h.rebalances[i-1]), h.rebalances[i].Began) > limit {
			run = h.rebalances[i : i+1]
			continue
		}
		run = h.rebalances[i-len(run) : i+1]
	}
	if span := apart(run[0].Began, end(run[len(run)-1])); len(run) >= 4 && span >= limit {
		h.add(NeverStable, run, nil, fmt.Sprintf("for %s the group was never Stable for longer than %s, twice its rebalance timeout", Span(span), Span(limit)),
			newFact("longest_rest_allowed", Measured, "", "twice the rebalance timeout").ms(Millis(limit)))
	}
}

// livelock: D05.
func (h *history) livelock() {
	for _, of := range h.people(func(inc *Incident) bool { return inc.Cause == PollInterval && went(inc) }) {
		if len(of) < 2 {
			continue
		}
		of = of[max(0, len(of)-5):]
		tp, at, ok := standstill(of)
		if !ok {
			continue
		}
		w := of[0].subject()
		f := h.add(SlowBatchLivelock, of, w, fmt.Sprintf("%s exceeded max.poll.interval.ms %s, and %s stood at offset %d each time: the same batch over and over, no progress", clean(w.Name()), count(len(of), "time", "times"), tp, at),
			newFact("standstill", Measured, w.ID, fmt.Sprintf("the committed offset of %s was %d each time", tp, at)).num(float64(at), "offset"))
		f.Advice = adviceOf(of, PollInterval)
	}
}

// idle: D06.
func (h *history) idle() {
	n := 0
	var last []*Incident
	for i := len(h.rebalances) - 1; i >= 0; i-- {
		m := h.rebalances[i].Moves
		if m == nil || m.Idle == 0 {
			break
		}
		last = append(last, h.rebalances[i])
		n++
	}
	if n < 2 {
		return
	}
	slices.Reverse(last)
	now := last[len(last)-1]
	h.add(IdleMembers, last, nil, fmt.Sprintf("%s without a partition for %s: %d members share %d partitions", count(now.Moves.Idle, "member is", "members are"), count(n, "generation", "generations"), now.MembersAfter, now.Moves.After),
		newFact(FactIdle, Measured, "", "members without a partition").num(float64(now.Moves.Idle), "members"))
}

// uneven: D07, by the number of partitions.
func (h *history) uneven() {
	if len(h.rebalances) == 0 {
		return
	}
	inc := h.rebalances[len(h.rebalances)-1]
	sum, n, most := 0, 0, 0
	var fullest *Who
	for i := range inc.Members {
		m := &inc.Members[i]
		if m.Has == nil || m.Change == Gone || m.Change == Passed {
			continue
		}
		n++
		sum += *m.Has
		if *m.Has > most {
			most, fullest = *m.Has, &m.Who
		}
	}
	// One partition more than the others is as even as it gets.
	if n < 2 || sum == 0 || float64(most) <= unevenFactor*float64(sum)/float64(n) || most <= (sum+n-1)/n {
		return
	}
	f := h.add(Unbalanced, []*Incident{inc}, fullest, fmt.Sprintf("%s has %d of %d partitions, %.1f times the mean of %s", clean(fullest.Name()), most, sum, float64(most)*float64(n)/float64(sum), count(n, "member", "members")),
		newFact("fullest", Measured, fullest.ID, "partitions of the fullest member").num(float64(most), "partitions"))
	f.Advice = []Advice{{Text: "Use an assignor that spreads over topics (cooperative-sticky, roundrobin), and let all members subscribe to the same topics.", Setting: "partition.assignment.strategy"}}
}

// hot: D08.
func (h *history) hot() {
	for i := len(h.rebalances) - 1; i >= 0; i-- {
		inc := h.rebalances[i]
		var sum, most int64
		n := 0
		var hottest *Partition
		for k := range inc.Partitions {
			p := &inc.Partitions[k]
			if p.LagAfter == nil {
				continue
			}
			n++
			sum += *p.LagAfter
			if *p.LagAfter > most {
				most, hottest = *p.LagAfter, p
			}
		}
		if n < 3 {
			continue // too few are known: an older one may tell
		}
		if most >= hotLagMin && float64(most) > hotShare*float64(sum) {
			f := h.add(HotPartition, []*Incident{inc}, nil, fmt.Sprintf("%s-%d holds %s of %s records of lag, %d%%, among %d partitions; moving it never helps", clean(hottest.Topic), hottest.Partition, thousands(most), thousands(sum), 100*most/sum, n),
				newFact("hot_lag", Measured, "", "lag of the hottest partition").num(float64(most), "records"))
			f.Advice = []Advice{{Text: "Choose keys that spread better, or split the hot key."}}
		}
		return
	}
}

// lagByRebalance: D09.
func (h *history) lagByRebalance() {
	var inside int64
	var of []*Incident
	for _, inc := range h.rebalances {
		if c := inc.Cost; c != nil && c.LagBefore != nil && c.LagAfter != nil && *c.LagAfter > *c.LagBefore {
			inside += *c.LagAfter - *c.LagBefore
			of = append(of, inc)
		}
	}
	if len(of) < 2 {
		return
	}
	total := *of[len(of)-1].Cost.LagAfter - *of[0].Cost.LagBefore
	if total <= 0 || float64(inside) < lagShare*float64(total) {
		return
	}
	share := min(100, 100*inside/total)
	h.add(LagByRebalance, of, nil, fmt.Sprintf("lag grew by %s records, %d%% of it while the group rebalanced", thousands(total), share),
		newFact("lag_inside", Measured, "", "growth of lag within rebalances").num(float64(inside), "records"))
}

// duplicates: D10.
func (h *history) duplicates() {
	var sum int64
	var of []*Incident
	for _, inc := range h.rebalances {
		if c := inc.Cost; c != nil && c.Uncommitted != nil && *c.Uncommitted > 0 {
			sum += *c.Uncommitted
			of = append(of, inc)
		}
	}
	if sum == 0 {
		return
	}
	f := h.add(DuplicateWindow, of, nil, fmt.Sprintf("up to %s records were delivered twice, in %s", thousands(sum), count(len(of), "rebalance", "rebalances")),
		newFact("uncommitted", Measured, "", "delivered and not committed when their partition was taken").num(float64(sum), "records"))
	f.Advice = []Advice{{Text: "Commit when partitions are revoked, and make processing idempotent: a crash leaves a window whatever one does."}}
}

// wasted: D12.
func (h *history) wasted() {
	var same, much []*Incident
	for _, inc := range h.rebalances {
		m := inc.Moves
		switch {
		case m == nil || inc.StateAfter != "Stable" || m.Before == 0:
		case m.Moved+m.Gained+m.Lost == 0 && inc.MembersBefore == inc.MembersAfter:
			same = append(same, inc)
		case m.Minimum != nil && m.Moved > wastedFactor**m.Minimum && m.Moved >= 2:
			much = append(much, inc)
		}
	}
	if len(same) > 0 {
		cause, who, _ := top(same)
		h.add(WastedRebalance, same, who, fmt.Sprintf("%s changed nothing; most often %s", count(len(same), "rebalance", "rebalances"), cause.Title()),
			newFact("unchanged", Measured, "", "rebalances after which everybody had what it had").num(float64(len(same)), "rebalances"))
	}
	if len(much) > 0 {
		moved, need := 0, 0
		for _, inc := range much {
			moved += inc.Moves.Moved
			need += *inc.Moves.Minimum
		}
		f := h.add(WastedRebalance, much, nil, fmt.Sprintf("%d partitions moved in %s where %d would have done: the assignor does not keep what members have", moved, count(len(much), "rebalance", "rebalances"), need),
			newFact("moved", Measured, "", "partitions moved").num(float64(moved), "partitions"), newFact("needed", Measured, "", "partitions that had to move").num(float64(need), "partitions"))
		f.Advice = []Advice{{Text: "Use a sticky assignor.", Setting: "partition.assignment.strategy", Value: "cooperative-sticky"}}
	}
}

// swing: D13.
func (h *history) swing() {
	var run, best []*Incident
	for _, inc := range h.rebalances {
		if inc.Cause != ScaleUp && inc.Cause != GracefulClose {
			run = nil
			continue
		}
		if n := len(run); n > 0 && run[n-1].Cause == inc.Cause {
			run = nil
		}
		run = append(run, inc)
		if len(run) > len(best) {
			best = slices.Clone(run)
		}
	}
	if len(best) < swingCount {
		return
	}
	// The time from one addition to the next is the period; it must be about the same each time.
	var periods []float64
	for i := 2; i < len(best); i++ {
		periods = append(periods, apart(best[i-2].Began, best[i].Began).Seconds())
	}
	mean := 0.0
	for _, p := range periods {
		mean += p / float64(len(periods))
	}
	for _, p := range periods {
		if mean <= 0 || p < mean*(1-swingSteady) || p > mean*(1+swingSteady) {
			return
		}
	}
	period := time.Duration(mean * float64(time.Second))
	var longest time.Duration
	for _, inc := range best {
		if inc.Took != nil {
			longest = max(longest, inc.Took.D())
		}
	}
	f := h.add(ScalerOscillation, best, nil, fmt.Sprintf("members are added and removed in turn, %s, with a period of about %s", count(len(best), "time", "times"), Span(period)),
		newFact("period", Measured, "", "from one addition to the next").ms(Millis(period)))
	f.Advice = []Advice{{Text: "Give the autoscaler a cooldown of three times a rebalance and the catching up after it.",
		Arithmetic: "3 x (" + Span(longest) + " + the time to catch up)", Needs: []string{"the time to catch up"}}}
}

// stuck: D11.
func stuck(w Window) (out []Finding) {
	for _, o := range w.Live {
		commit, fetch := o.CommitSilence, o.FetchSilence
		if o.Lag <= o.LagBefore || commit == nil || commit.D() < w.StuckAfter || fetch != nil && fetch.D() < w.StuckAfter {
			continue
		}
		name := o.Who.Name()
		f := Finding{Detector: StuckOwner, Title: StuckOwner.Title(), Group: o.Group, From: w.From, To: w.To, Member: &o.Who}
		basis := Measured
		f.Text = fmt.Sprintf("%s owns %s-%d and has committed nothing for %s, while its lag grew from %s to %s", clean(name), clean(o.Topic), o.Partition, *commit, thousands(o.LagBefore), thousands(o.Lag))
		if fetch == nil {
			basis = ConsistentWith
			f.Text += "; whether it fetches is not known"
		} else {
			f.Text += fmt.Sprintf("; it fetched nothing for %s", *fetch)
		}
		f.Evidence = []Fact{newFact(FactCommitSilence, basis, o.ID, "since its last commit").ms(*commit)}
		f.Advice = []Advice{{Text: "Take a stack trace of the process: clients without a poll deadline (franz-go, sarama, segmentio) hold their partitions for ever when a handler hangs."}}
		out = append(out, f)
	}
	return out
}

// together: D14.
func together(all []Incident) (out []Finding) {
	var gone []*Incident
	for i := range all {
		if inc := &all[i]; inc.Kind == Rebalance && inc.Cause == SessionTimeout && went(inc) {
			gone = append(gone, inc)
		}
	}
	for i := 0; i < len(gone); {
		j := i + 1
		for j < len(gone) && apart(gone[i].Began, gone[j].Began) <= togetherWindow {
			j++
		}
		groups := map[string]bool{}
		hosts := map[string]bool{}
		for _, inc := range gone[i:j] {
			groups[inc.Group] = true
			if w := inc.subject(); w != nil {
				hosts[w.Host] = true
			}
		}
		near := gone[i].has(FactNeighbours, "")
		if len(groups) > 1 || near {
			f := Finding{Detector: CorrelatedFailures, Title: CorrelatedFailures.Title(), Group: gone[i].Group, From: gone[i].Began, To: end(gone[j-1])}
			f.Text = fmt.Sprintf("members of %s went silent within %s", count(len(groups), "group", "groups"), Span(togetherWindow))
			if len(hosts) == 1 {
				for h := range hosts { // any order: there is one
					f.Text += ", all of them on " + clean(hostText(h))
				}
			}
			f.Text += ": look at the host, the network or the broker, not at one application"
			for _, inc := range gone[i:j] {
				f.Incidents = append(f.Incidents, inc.ID)
			}
			f.Evidence = []Fact{newFact("groups", Measured, "", "groups that lost members within seconds").num(float64(len(groups)), "groups")}
			out = append(out, f)
		}
		i = j
	}
	return out
}
