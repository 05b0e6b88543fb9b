package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// view is what can be seen of one broker after a step: which calls were answered and how, and how the groups stand.
type view struct {
	calls     []*call // answered
	described *kmsg.DescribeGroupsResponse
	answers   []entry // of calls
	groups    []entry // of described
	states    []string
	waiting   []string
}

// entry is an answer, or a group as DescribeGroups shows it.
type entry struct {
	what   string
	api    string
	fields []field
}

// difference is where two transcripts part.
type difference struct {
	api  string
	what string // which answer, of whom
	path string
	a, b string
	step int
}

func (d *difference) String() string {
	return fmt.Sprintf("%s: %s = %s -> %s", d.what, d.path, d.a, d.b)
}

// errChance says that the brokers chose different leaders where Kafka leaves the choice to a hash table.
var errChance = errors.New("the leader was chosen by chance, and not alike")

// fences is how many answers, one after the other, prove that what was sent before them has been dealt with. Kafka, set up with one thread
// that reads, one that works and one that coordinates, has read a request when a later one is answered, has worked on it when a second one is, and
// has put its answer on the wire before a third and a fourth.
const fences = 4

// How long two brokers that differ get to agree, before it counts.
const (
	patience = 10 * time.Second
	// patienceShrinking is for the many plays of a walk that is known to differ.
	patienceShrinking = 700 * time.Millisecond
	// patienceTimed is for steps that wait for a timer.
	patienceTimed = 12 * time.Second
	// looksMin is how often, at least, each is looked at meanwhile.
	looksMin = 20
	// quietWaiting is how often they must look alike while a call waits.
	quietWaiting = 10
)

// lockstep plays a walk at both brokers at once and compares after each step.
type lockstep struct {
	players    [2]*player
	table      []*explanation
	steps      []step
	transcript []string
	compared   int // answers
	excused    map[*explanation]int
	last       [2]view
	ended      bool // by an explained difference that leaves different groups behind
	patience   time.Duration
	at         int // the step at which run gave up
}

// run plays to the end, or to the first difference that nothing explains.
func (l *lockstep) run(ctx context.Context) (*difference, error) {
	for n, s := range l.steps {
		for i, p := range l.players {
			p.states = l.last[i].states
		}
		l.transcript = append(l.transcript, fmt.Sprintf("%3d  %s", n, s))
		if err := l.both(func(p *player) error { return p.play(ctx, s) }); err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", n, s, err)
		}
		diff, err := l.settle(ctx, s)
		if err != nil {
			l.at = n
			return nil, err
		}
		if diff != nil {
			diff.step = n
			return diff, nil
		}
		if l.ended {
			break
		}
	}
	return nil, nil
}

func (l *lockstep) both(do func(p *player) error) error {
	var errs [2]error
	done := make(chan struct{})
	go func() {
		errs[1] = do(l.players[1])
		close(done)
	}()
	errs[0] = do(l.players[0])
	<-done
	return errors.Join(errs[0], errs[1])
}

// settle waits until both brokers have done what the step asks of them, and compares. A call counts as waiting when both brokers have surely taken
// it up and neither has answered.
func (l *lockstep) settle(ctx context.Context, s step) (*difference, error) {
	var views [2]view
	look := func(i, rounds int) error {
		p := l.players[i]
		for range rounds {
			described, err := p.describe(ctx)
			if err != nil {
				return err
			}
			views[i].described = described
			done, err := p.collect(ctx)
			if err != nil {
				return err
			}
			views[i].calls = append(views[i].calls, done...)
		}
		p.show(&views[i])
		return nil
	}
	index := func(p *player) int {
		if p == l.players[0] {
			return 0
		}
		return 1
	}
	bound, rounds := l.patience, fences
	if s.do == "wait" {
		bound = patienceTimed
	}
	var v verdict
	for began, looks, quiet := time.Now(), 0, 0; ; looks++ {
		if err := l.both(func(p *player) error { return look(index(p), rounds) }); err != nil {
			return nil, err
		}
		v = l.compare(views)
		if v.diff == nil && !l.moving(views) && (s.do != "wait" || l.changed(views)) {
			quiet++
			// What waits has to be seen to wait: Barnabas has a goroutine for each connection, and nothing says which comes first.
			if need := l.quietNeeded(v); quiet >= need {
				break
			}
		}
		if v.diff != nil && slices.Equal(whats(views[0].answers), whats(views[1].answers)) && v.diff.api != "group" {
			break // an answer does not change any more
		}
		// A stall of one broker takes time, but the other must not be judged by a single look at it.
		if time.Since(began) > bound && looks >= looksMin {
			break
		}
		rounds = 1
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
	if l.chance(views) {
		return nil, errChance
	}
	diff := v.diff
	l.ended = v.ends
	for _, x := range v.excused {
		l.excused[x]++
	}
	l.even(&views)
	for i, p := range l.players {
		for _, c := range views[i].calls {
			if c.answer != nil {
				p.learn(c)
			}
		}
	}
	for _, e := range views[0].answers {
		l.compared++
		l.transcript = append(l.transcript, "       "+e.line())
	}
	if diff != nil {
		for _, e := range views[1].answers {
			l.transcript = append(l.transcript, "     | "+e.line())
		}
	}
	l.transcript = append(l.transcript, fmt.Sprintf("       %s; waiting: %s", strings.Join(views[0].states, ", "), strings.Join(views[0].waiting, ", ")))
	if diff != nil {
		l.transcript = append(l.transcript, fmt.Sprintf("     | %s; waiting: %s", strings.Join(views[1].states, ", "), strings.Join(views[1].waiting, ", ")))
	}
	l.last = views
	return diff, nil
}

// even takes calls that only one broker has answered, which was explained, from both: their clients have heard nothing, and stop waiting.
func (l *lockstep) even(views *[2]view) {
	for i := range views {
		other := l.players[1-i]
		answered := whats(views[1-i].answers)
		var kept []*call
		for _, c := range views[i].calls {
			if slices.Contains(answered, c.name()) {
				kept = append(kept, c)
				continue
			}
			if at := slices.IndexFunc(other.calls, func(o *call) bool { return o.n == c.n }); at >= 0 {
				other.forget(other.calls[at])
			}
		}
		views[i].calls = kept
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(3 * time.Millisecond):
		return nil
	}
}

// quietNeeded is how many looks in a row must find both brokers alike: more where a call waits, since its answer may be on the way.
func (l *lockstep) quietNeeded(v verdict) int {
	if v.oneSided || len(l.players[0].calls)+len(l.players[1].calls) > 0 {
		return quietWaiting
	}
	return 1
}

func whats(es []entry) (out []string) {
	for _, e := range es {
		out = append(out, e.what)
	}
	slices.Sort(out)
	return out
}

// moving reports whether a group is on its way by itself: without a delay, the gathering of a group that begins ends at once.
func (l *lockstep) moving(views [2]view) bool {
	if modes[l.players[0].walk.mode].gather {
		return false
	}
	for i, v := range views {
		for g, state := range v.states {
			before := "Dead"
			if l.last[i].states != nil {
				before = l.last[i].states[g]
			}
			if state == "PreparingRebalance" && (before == "Dead" || before == "Empty") {
				return true
			}
		}
	}
	return false
}

// changed reports whether what a timer does has been seen at both brokers.
func (l *lockstep) changed(views [2]view) bool {
	for i, v := range views {
		if len(v.answers) == 0 && slices.Equal(lines(v.groups), lines(l.last[i].groups)) {
			return false
		}
	}
	return true
}

func lines(es []entry) (out []string) {
	for _, e := range es {
		out = append(out, e.line())
	}
	return out
}

// describe is how the groups of the walk stand, which is also the fence behind what was sent before.
func (p *player) describe(ctx context.Context) (*kmsg.DescribeGroupsResponse, error) {
	q := kmsg.NewPtrDescribeGroupsRequest()
	q.Version = 5
	for i := range p.walk.groups {
		q.Groups = append(q.Groups, p.group(i))
	}
	resp, err := p.admin.Do(ctx, q)
	if err != nil {
		return nil, err
	}
	d := resp.(*kmsg.DescribeGroupsResponse)
	sortGroups(d)
	return d, nil
}

// show puts into words what a view holds. Ids get their names in the order of the requests that brought them, however the answers came.
func (p *player) show(v *view) {
	slices.SortFunc(v.calls, func(x, y *call) int { return cmp.Compare(x.n, y.n) })
	p.rename(v.calls)
	v.answers, v.groups, v.states, v.waiting = nil, nil, nil, nil
	for _, c := range v.calls {
		v.answers = append(v.answers, p.entry(c))
	}
	for i, g := range v.described.Groups {
		one := kmsg.NewPtrDescribeGroupsResponse()
		one.Groups = []kmsg.DescribeGroupsResponseGroup{g}
		v.groups = append(v.groups, entry{what: fmt.Sprintf("group g%d", i), api: "group", fields: p.render(nil, one)})
		v.states = append(v.states, g.State)
	}
	for _, c := range p.calls {
		v.waiting = append(v.waiting, c.what)
	}
}

// entry is a call's answer as it stands in the transcript.
func (p *player) entry(c *call) entry {
	e := entry{what: c.name(), api: c.kind}
	if c.answer != nil {
		e.fields = p.render(c.req, c.answer)
	}
	if c.err != nil {
		e.fields = append(e.fields, field{"outcome", c.err.Error()})
	}
	return e
}

func (e entry) line() string {
	var b strings.Builder
	b.WriteString(e.what)
	for _, f := range e.fields {
		fmt.Fprintf(&b, " %s=%s", f.path, f.value)
	}
	return b.String()
}

// verdict is what a comparison found.
type verdict struct {
	diff     *difference    // the first that nothing explains; nil for none
	excused  []*explanation // those that were needed
	oneSided bool           // an excuse is that only one broker answered, which may only be early
	ends     bool           // the brokers part here on purpose; diff is nil then
}

// compare goes through two views, and holds what differs against the table.
func (l *lockstep) compare(views [2]view) verdict {
	var v verdict
	see := func(d *difference) {
		for _, x := range l.table {
			if x.covers(d, views[0].answers) {
				v.excused = append(v.excused, x)
				v.oneSided = v.oneSided || d.path == "answered"
				v.ends = v.ends || x.ends
				return
			}
		}
		if v.diff == nil {
			v.diff = d
		}
	}
	match := func(as, bs []entry, missing string) {
		at := map[string]entry{}
		for _, b := range bs {
			at[b.what] = b
		}
		for _, a := range as {
			b, ok := at[a.what]
			delete(at, a.what)
			if !ok {
				see(&difference{api: a.api, what: a.what, path: "answered", a: a.summary(), b: missing})
				continue
			}
			compareFields(a, b, see)
		}
		for _, b := range bs {
			if _, extra := at[b.what]; extra {
				see(&difference{api: b.api, what: b.what, path: "answered", a: missing, b: b.summary()})
			}
		}
	}
	match(views[0].answers, views[1].answers, "not answered")
	match(views[0].groups, views[1].groups, "")
	if v.ends {
		v.diff = nil
	}
	return v
}

// summary is an answer's error, which says most.
func (e entry) summary() string {
	for _, f := range e.fields {
		if f.path == "ErrorCode" || f.path == "outcome" {
			return f.value
		}
	}
	return "answered"
}

// compareFields goes through two answers to the same request, line by line.
func compareFields(a, b entry, see func(*difference)) {
	at := map[string]string{}
	for _, f := range b.fields {
		at[f.path] = f.value
	}
	for _, f := range a.fields {
		v, ok := at[f.path]
		delete(at, f.path)
		if !ok {
			v = "(absent)"
		}
		if v != f.value {
			see(&difference{api: a.api, what: a.what, path: f.path, a: f.value, b: v})
		}
	}
	for _, f := range b.fields {
		if v, extra := at[f.path]; extra {
			see(&difference{api: a.api, what: a.what, path: f.path, a: "(absent)", b: v})
		}
	}
}

// chance reports whether the brokers have chosen different leaders for a generation in which the id that led before does not take part. Kafka takes
// any member then. (A static member that was replaced leads on under another id; where the brokers differ in that, they do so every time.)
func (l *lockstep) chance(views [2]view) bool {
	type election struct {
		leader string
		free   bool // whoever led before does not take part
	}
	var won [2]map[string]election
	for i, p := range l.players {
		won[i] = map[string]election{}
		came := map[string]bool{}
		joins := func(do func(group string, j *kmsg.JoinGroupResponse)) {
			for _, c := range views[i].calls {
				if j, ok := c.answer.(*kmsg.JoinGroupResponse); ok && j.ErrorCode == 0 {
					do(strconv.Itoa(c.group), j)
				}
			}
		}
		joins(func(group string, j *kmsg.JoinGroupResponse) { came[group+j.MemberID] = true })
		joins(func(group string, j *kmsg.JoinGroupResponse) {
			before := p.led[group]
			won[i][fmt.Sprintf("%s@%d", group, j.Generation)] = election{p.nameOf(j.LeaderID), before != "" && !came[group+before]}
		})
		joins(func(group string, j *kmsg.JoinGroupResponse) { p.led[group] = j.LeaderID })
	}
	for at, a := range won[0] {
		if b, ok := won[1][at]; ok && a.leader != b.leader && a.free && b.free {
			return true
		}
	}
	return false
}
