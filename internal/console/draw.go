package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// drawing is a timeline in coordinates, as the template writes it down: everything in it is a number, a class of our own, or text that the
// template escapes.
type drawing struct {
	Width, Height      int
	Left, Right, Top   float64 // of the plot: where time and lanes are
	Bottom, LabelsLeft float64
	Narrow             bool // labels stand above their lanes
	Ticks              []tick
	Lanes              []laneBox
	Columns            []column
	Ribbons            []ribbon
	Bands              []shape
	Marks              []mark
	// Older says that there are incidents older than the drawing can hold; Undrawn is where those that it holds begin.
	Older   bool
	Undrawn float64
	// Folded says that lanes hold several members, Banded that ribbons were summed up; MembersTotal and RibbonsTotal are the whole.
	Folded, Banded             bool
	MembersTotal, RibbonsTotal int
	Now                        float64 // where the present is; 0 if it is not in the picture
}

type tick struct {
	X     float64
	Label string
}

type laneBox struct {
	Y, H, TextY  float64
	Label, Title string
	Spans        []box
	Odd          bool
	Gone         []float64 // where it ends
}

type box struct{ X, Y, W, H float64 }

// column is an incident: shaded phases over all lanes, and a flag on top.
type column struct {
	ID, Label, Flag string
	Class           string
	X, W            float64
	Phases          []phaseBox
	FlagX, FlagY    float64 // FlagY 0: there is no room for words, the mark alone stands
	FlagW           float64
	Mark            float64 // x of the mark
	Absorbed        bool    // no rebalance: a mark only
	Thin            bool    // too narrow for its phases to be told apart
	flags           []string
}

type phaseBox struct {
	X, W         float64
	Class, Title string
}

// ribbon is one partition on its way through the picture.
type ribbon struct {
	Class, Title    string
	Width           float64
	Own, Gap, Moved string // paths: owned; paused and back with the same owner; on the way to another
}

type shape struct{ Class, Title, D string }

type mark struct {
	X, Y         float64
	Class, Title string
}

// pen holds the scale while drawing.
type pen struct {
	h       *history
	d       *drawing
	w       *words
	scale   float64 // pixels per nanosecond
	thick   float64 // of a ribbon
	gap     float64
	laneTop []float64 // where the ribbons of a lane begin
}

const (
	narrowBelow = 640
	gutter      = 176
	axisHeight  = 24
	flagHeight  = 20
	flagRows    = 3
	bandMax     = 34 // of a lane that is summed up
	curveMin    = 10 // pixels that a hand-over takes at least, so that it can be seen
)

// draw lays a history out over so many pixels.
func draw(h *history, width int, now time.Time, w *words) *drawing {
	d := &drawing{Width: width, Left: gutter, Right: float64(width) - 12, LabelsLeft: 4, MembersTotal: len(h.lanes)}
	if d.Narrow = width < narrowBelow; d.Narrow {
		d.Left, d.Right = 6, float64(width)-6
	}
	d.Folded = h.fold(lanesMax)
	d.RibbonsTotal = h.pieces()
	d.Banded = d.Folded || d.RibbonsTotal > ribbonsMax || !h.exact()
	if d.Banded {
		h.older = h.newest() > 0 || h.older
	}
	p := &pen{h: h, d: d, w: w, scale: (d.Right - d.Left) / float64(h.to.Sub(h.from))}
	if d.Older = h.older; d.Older && len(h.incidents) > 0 {
		h.forget()
		d.Undrawn = p.x(began(&h.incidents[0]))
	}
	p.columns(now)
	p.lanes()
	if d.Banded {
		p.bands()
	} else {
		p.ribbons()
	}
	p.marks()
	p.ticks()
	if !now.Before(h.from) && now.Before(h.to) {
		d.Now = p.x(now)
	}
	return d
}

func (p *pen) x(t time.Time) float64 {
	x := p.d.Left + float64(t.Sub(p.h.from))*p.scale
	return math.Round(min(max(x, p.d.Left), p.d.Right)*10) / 10
}

// columns draws incidents and finds room for their flags, in at most flagRows rows, the newest first.
func (p *pen) columns(now time.Time) {
	var all []column
	for i := range p.h.incidents {
		in := &p.h.incidents[i]
		if ended(in, now).Before(p.h.from) || !began(in).Before(p.h.to) {
			continue
		}
		all = append(all, p.column(in, now))
	}
	for i := range p.h.others {
		c := p.column(&p.h.others[i], now)
		c.Absorbed, c.Phases = true, nil
		all = append(all, c)
	}
	var ends [flagRows]float64 // the left ends of what is in a row already
	for i := range ends {
		ends[i] = math.Inf(1)
	}
	slices.SortStableFunc(all, func(a, b column) int { return cmp.Compare(a.X, b.X) })
	rows := 0
	for i := len(all) - 1; i >= 0; i-- {
		c := &all[i]
		for _, flag := range c.flags { // the longest for which there is room
			c.Flag, c.FlagW = flag, textWidth(flag, 11)+12
			c.FlagX = max(p.d.Left, min(c.Mark-5, p.d.Right-c.FlagW))
			for row := range ends {
				if c.FlagX+c.FlagW+4 <= ends[row] {
					ends[row] = c.FlagX
					c.FlagY = float64(axisHeight + row*flagHeight + 15)
					rows = max(rows, row+1)
					break
				}
			}
			if c.FlagY > 0 {
				break
			}
		}
	}
	p.d.Columns = all
	p.d.Top = float64(axisHeight + max(1, rows)*flagHeight + 10)
}

func (p *pen) column(in *journal.Incident, now time.Time) column {
	c := column{ID: in.ID, Class: causeClass(in.Cause), flags: p.w.flags(in), Label: p.w.sentence(in)}
	c.X = p.x(began(in))
	c.W = max(2, p.x(ended(in, now))-c.X)
	c.Mark = c.X + min(c.W/2, 5)
	c.Thin = c.W < 6
	for _, ph := range in.Phases {
		end := ended(in, now)
		if ph.End != nil {
			end = ph.End.Instant().Time()
		}
		x := p.x(ph.Start.Instant().Time())
		if w := p.x(end) - x; w > 0 && x < p.d.Right {
			title := p.w.phase(ph.Name) + " " + journal.Span(end.Sub(ph.Start.Instant().Time()))
			if ph.Last != nil {
				title += ", " + p.w.get("last to arrive") + " " + shown(ph.Last.Name())
			}
			c.Phases = append(c.Phases, phaseBox{x, w, phaseClass(ph.Name), title})
		}
	}
	if len(c.Phases) == 0 {
		c.Phases = []phaseBox{{c.X, c.W, "ph-all", c.Label}}
	}
	return c
}

func phaseClass(n journal.PhaseName) string {
	switch n {
	case journal.Gathering, journal.Noticing, journal.Drain, journal.Assign, journal.Sync:
		return "ph-" + string(n)
	}
	return "ph-all"
}

// causeClass sorts causes by what an operator does about them: somebody wanted it, it is churn, something failed.
func causeClass(c journal.Cause) string {
	switch c {
	case journal.SessionTimeout, journal.PollInterval, journal.LateToRejoin, journal.LateToSync, journal.InstanceFenced, journal.AssignorChange,
		journal.FailedRebalance, journal.RejectedCommit, journal.BrokerPolicy:
		return "bad"
	case journal.RollingRestart, journal.SubscriptionChange, journal.PartitionCount, journal.TopicSet, journal.LeaderRejoin, journal.CooperativeRound,
		journal.ProtocolMigration, journal.Unsubscribed, journal.CoordinatorMoved:
		return "churn"
	case journal.FirstStart, journal.ScaleUp, journal.GracefulClose, journal.StaticReturned, journal.AdminRemoval:
		return "plan"
	}
	return "unknown"
}

// lanes stacks the lanes: each as high as what it holds at most.
func (p *pen) lanes() {
	most, sum := make([]int, len(p.h.lanes)), 0
	for i := range p.h.stretches {
		for l, n := range p.h.stretches[i].count {
			most[l] = max(most[l], n)
		}
	}
	top := 1
	for _, n := range most {
		top = max(top, n)
		sum += n
	}
	switch {
	case p.d.Banded:
		p.thick = min(6, 10/float64(max(1, median(most))))
	case top <= 4 && sum <= 48:
		p.thick, p.gap = 10, 3
	case top <= 8 && sum <= 80:
		p.thick, p.gap = 7, 2
	case top <= 20:
		p.thick, p.gap = 4, 1
	default:
		p.thick, p.gap = max(1.2, 72/float64(top)), .4
	}
	y, pad, least := p.d.Top, 5.0, 28.0
	if len(p.h.lanes) > 40 {
		pad, least = 2, 14
	}
	labelRoom := 0.0
	if p.d.Narrow {
		labelRoom = 15
	}
	labelMax := float64(gutter - 14)
	if p.d.Narrow {
		labelMax = p.d.Right - p.d.Left
	}
	names := map[string]int{}
	for i := range p.h.lanes {
		names[p.w.laneLabel(&p.h.lanes[i])]++
	}
	p.laneTop = make([]float64, len(p.h.lanes))
	for i := range p.h.lanes {
		l := &p.h.lanes[i]
		content := float64(most[i])*(p.thick+p.gap) - p.gap
		if p.d.Banded {
			content = min(content, bandMax)
		}
		hgt := max(least, content+2*pad) + labelRoom
		b := laneBox{Y: y, H: hgt, Odd: i%2 == 1, Label: p.w.laneLabel(l), Title: p.w.laneTitle(l)}
		if names[b.Label] > 1 && l.members == 1 { // several of one client on one host: the end of their ids tells them apart
			end := " …" + shown(l.who.ID[max(0, len(l.who.ID)-4):])
			b.Label = shorten(b.Label, 12, labelMax-textWidth(end, 12)) + end
		}
		b.Label = shorten(b.Label, 12, labelMax)
		p.laneTop[i] = y + labelRoom + (hgt-labelRoom-max(0, content))/2
		b.TextY = y + hgt/2 + 4
		if p.d.Narrow {
			b.TextY = y + 12
		}
		for _, s := range l.spans {
			to := s.to
			if to.IsZero() {
				to = p.h.to
			}
			if to.Before(p.h.from) || s.from.After(p.h.to) {
				continue
			}
			b.Spans = append(b.Spans, box{p.x(s.from), y + labelRoom + 1, max(1, p.x(to)-p.x(s.from)), hgt - labelRoom - 2})
			if s.gone {
				b.Gone = append(b.Gone, p.x(to))
			}
		}
		p.d.Lanes = append(p.d.Lanes, b)
		y += hgt
	}
	p.d.Bottom = y
	p.d.Height = int(y) + 8
}

func median(n []int) int {
	sorted := slices.Sorted(slices.Values(n))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}

// turn is how stretch k passes into k+1: from where to where the hand-over is drawn. At least curveMin wide, but never past the middle of a
// neighbour, and not out of the picture.
func (p *pen) turn(k int) (from, to float64) {
	a, b := &p.h.stretches[k], &p.h.stretches[k+1]
	from, to = p.x(a.to), p.x(b.from)
	if b.from.Before(p.h.from) || a.to.After(p.h.to) {
		return from, to
	}
	if missing := curveMin - (to - from); missing > 0 {
		from -= min(missing/2, (from-p.x(a.from))/2)
		to += min(missing/2, (p.x(b.to)-to)/2)
	}
	return from, to
}

// seatIn is the lane and the place in it of each partition in a stretch; -1 for nobody's.
func seatIn(s *stretch, partitions int) (lane, slot []int) {
	lane, slot = make([]int, partitions), make([]int, partitions)
	for i := range lane {
		lane[i] = -1
	}
	for l, owned := range s.owned {
		for n, tp := range owned {
			lane[tp], slot[tp] = l, n
		}
	}
	return lane, slot
}

func (p *pen) ribbons() {
	n := len(p.h.partitions)
	type paths struct{ own, gap, moved strings.Builder }
	out := make([]paths, n)
	owners := make([][]string, n)
	y := func(lane, slot int) float64 { return p.laneTop[lane] + float64(slot)*(p.thick+p.gap) + p.thick/2 }
	var lane, slot []int
	left := p.d.Left
	for k := range p.h.stretches {
		s := &p.h.stretches[k]
		if k == 0 {
			lane, slot = seatIn(s, n)
		}
		from, to := left, p.x(s.to)
		var next, nextSlot []int
		turnTo := to
		if k+1 < len(p.h.stretches) {
			to, turnTo = p.turn(k)
			next, nextSlot = seatIn(&p.h.stretches[k+1], n)
		}
		eager := k < len(p.h.incidents) && !p.h.incidents[k].Cooperative
		for tp := range n {
			if lane[tp] < 0 {
				continue
			}
			y1 := y(lane[tp], slot[tp])
			if to > from {
				segment(&out[tp].own, from, y1, to, y1)
			}
			if name := p.h.lanes[lane[tp]].who.Name(); len(owners[tp]) == 0 || owners[tp][len(owners[tp])-1] != name {
				owners[tp] = append(owners[tp], name)
			}
			if next == nil || next[tp] < 0 || turnTo <= to {
				continue
			}
			y2 := y(next[tp], nextSlot[tp])
			switch {
			case next[tp] != lane[tp]:
				segment(&out[tp].moved, to, y1, turnTo, y2)
			case eager:
				segment(&out[tp].gap, to, y1, turnTo, y2)
			default:
				segment(&out[tp].own, to, y1, turnTo, y2)
			}
		}
		lane, slot, left = next, nextSlot, turnTo
	}
	topics := map[string]int{}
	for tp, name := range p.h.partitions {
		if _, ok := topics[name.Topic]; !ok {
			topics[name.Topic] = len(topics)
		}
		if out[tp].own.Len()+out[tp].moved.Len()+out[tp].gap.Len() == 0 {
			continue
		}
		r := ribbon{Class: fmt.Sprintf("t%d", topics[name.Topic]%6), Width: p.thick,
			Own: out[tp].own.String(), Gap: out[tp].gap.String(), Moved: out[tp].moved.String(),
			Title: shown(name.Topic) + "-" + strconv.Itoa(int(name.Partition)) + ": " + journey(owners[tp])}
		if name.Partition%2 == 1 {
			r.Class += " alt"
		}
		p.d.Ribbons = append(p.d.Ribbons, r)
	}
}

// journey is who owned a partition, in order; the middle of a long one is left out.
func journey(owners []string) string {
	const ends = 4
	var out []string
	for i, o := range owners {
		if len(owners) > 2*ends && i == ends {
			out = append(out, "…")
		}
		if len(owners) <= 2*ends || i < ends || i >= len(owners)-ends {
			out = append(out, shown(o))
		}
	}
	return strings.Join(out, " → ")
}

// segment adds a line from one point to another: straight when level, else an S.
func segment(b *strings.Builder, x1, y1, x2, y2 float64) {
	b.WriteString("M")
	point(b, x1, y1)
	if math.Abs(y1-y2) < .05 {
		b.WriteString("H")
		b.WriteString(num(x2))
		return
	}
	mid := (x1 + x2) / 2
	b.WriteString("C")
	point(b, mid, y1)
	b.WriteString(" ")
	point(b, mid, y2)
	b.WriteString(" ")
	point(b, x2, y2)
}

func point(b *strings.Builder, x, y float64) {
	b.WriteString(num(x))
	b.WriteString(",")
	b.WriteString(num(y))
}

func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// bands sums up: each lane as an area as high as the number of its partitions, and between two lanes one stroke for all that moved.
func (p *pen) bands() {
	for l := range p.h.lanes {
		var up, down strings.Builder
		var shapes strings.Builder
		flush := func() {
			if up.Len() > 0 {
				shapes.WriteString("M" + up.String()[1:] + down.String() + "Z")
			}
			up.Reset()
			down.Reset()
		}
		lastX := math.Inf(-1)
		bottom := p.d.Lanes[l].Y + p.d.Lanes[l].H - 2
		for k := range p.h.stretches {
			s := &p.h.stretches[k]
			n := s.count[l]
			from, to := p.x(s.from), p.x(s.to)
			if n == 0 || !s.known {
				flush()
				continue
			}
			if to-from < 1 && from-lastX < 1 { // nobody sees it
				continue
			}
			lastX = to
			top := bottom - min(p.d.Lanes[l].H-4, max(1.5, float64(n)*p.thick))
			fmt.Fprintf(&up, "L%s,%sH%s", num(from), num(top), num(to))
			down.Reset()
			fmt.Fprintf(&down, "V%sH", num(bottom))
			start, _, _ := strings.Cut(up.String()[1:], ",")
			down.WriteString(start)
		}
		flush()
		if shapes.Len() > 0 {
			p.d.Bands = append(p.d.Bands, shape{"band", p.d.Lanes[l].Title, shapes.String()})
		}
	}
	p.flows()
}

// flows draws what moved between lanes, the largest first, within the bound of ribbons.
func (p *pen) flows() {
	type flow struct{ k, from, to, n int }
	var all []flow
	lane, _ := seatIn(&p.h.stretches[0], len(p.h.partitions))
	for k := 0; k+1 < len(p.h.stretches); k++ {
		next, _ := seatIn(&p.h.stretches[k+1], len(p.h.partitions))
		pairs := map[[2]int]int{}
		for tp, from := range lane {
			if to := next[tp]; from >= 0 && to >= 0 && from != to {
				pairs[[2]int{from, to}]++
			}
		}
		for pair, n := range pairs { // any order: sorted below
			all = append(all, flow{k, pair[0], pair[1], n})
		}
		lane = next
	}
	slices.SortFunc(all, func(a, b flow) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.k, b.k), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	if len(all) > ribbonsMax/4 {
		all = all[:ribbonsMax/4]
	}
	for _, f := range all {
		from, to := p.turn(f.k)
		var b strings.Builder
		mid := func(l int) float64 { return p.d.Lanes[l].Y + p.d.Lanes[l].H/2 }
		segment(&b, from, mid(f.from), to, mid(f.to))
		p.d.Bands = append(p.d.Bands, shape{fmt.Sprintf("flow w%d", min(4, 1+int(math.Log2(float64(f.n))))),
			p.w.getf("%d partitions from %s to %s", f.n, p.d.Lanes[f.from].Title, p.d.Lanes[f.to].Title), b.String()})
	}
}

// marks shows when each member learned of a rebalance, came back, and had its part, once an incident is wide enough to tell them apart.
func (p *pen) marks() {
	for k := range p.h.incidents {
		in := &p.h.incidents[k]
		if p.d.Folded || p.x(ended(in, p.h.to))-p.x(began(in)) < 48 {
			continue
		}
		for _, m := range in.Members {
			l, ok := p.h.laneOf[k][m.ID]
			if !ok || l >= len(p.d.Lanes) {
				continue
			}
			y := p.d.Lanes[l].Y + p.d.Lanes[l].H - 5
			add := func(t *journal.Time, class, what string) {
				if t == nil {
					return
				}
				at := t.Instant().Time()
				if at.Before(p.h.from) || at.After(p.h.to) {
					return
				}
				p.d.Marks = append(p.d.Marks, mark{p.x(at), math.Round(y*10) / 10, class,
					fmt.Sprintf("%s: %s +%s", shown(m.Who.Name()), p.w.get(what), journal.Span(at.Sub(began(in))))})
			}
			add(m.Told, "told", "learned of it")
			add(m.Arrived, "arrived", "rejoined")
			add(m.Synced, "synced", "has its assignment")
		}
	}
	if len(p.d.Marks) > ribbonsMax {
		p.d.Marks = p.d.Marks[len(p.d.Marks)-ribbonsMax:]
	}
}

var tickSteps = []time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second,
	30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 28 * 24 * time.Hour, 364 * 24 * time.Hour}

func (p *pen) ticks() {
	span := p.h.to.Sub(p.h.from)
	room := 96.0
	if p.d.Narrow {
		room = 78
	}
	step := tickSteps[len(tickSteps)-1]
	for _, s := range tickSteps {
		if float64(s)*p.scale >= room {
			step = s
			break
		}
	}
	layout := "15:04"
	switch {
	case step < time.Second:
		layout = "15:04:05.000"
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "01-02"
	case span > 24*time.Hour:
		layout = "01-02 15:04"
	}
	for t := p.h.from.Truncate(step); !t.After(p.h.to); t = t.Add(step) {
		if !t.Before(p.h.from) {
			p.d.Ticks = append(p.d.Ticks, tick{p.x(t), t.UTC().Format(layout)})
		}
	}
}
