package sim

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// What a report draws: lanes and curves, within bounds.

const (
	samplesOf  = 240 // points of a curve
	curvesMost = 200 // partitions and members with a curve of their own
)

// recording is what is kept for a report.
type recording struct {
	segments []Segment
	open     map[int32]int // partition -> its open segment
	full     bool
	points   []Point
	peak     Point // the highest since the last point
}

// Segment is a stretch of time in which one partition was read by one member, or by nobody.
type Segment struct {
	Partition int32         `json:"p"`
	Member    int32         `json:"m"` // -1 for nobody
	Fenced    bool          `json:"fenced,omitempty"`
	From, To  time.Duration `json:"-"`
}

// Point is the lag at one moment, or the highest that a disturbance ended with since the point before.
type Point struct {
	At    time.Duration `json:"-"`
	Total int64         `json:"total"`
	Each  []int64       `json:"-"` // by partition, if there are few enough
}

// Recorded is what a run kept.
type Recorded struct {
	Segments   []Segment
	Points     []Point
	Partitions []string
	Members    []string
	Cut        bool // there was more than is kept
}

// lane begins a new segment of a partition's story, if it is another one.
func (m *measure) lane(p *partition, state reading) {
	w := p.w
	if w.zero == 0 {
		return
	}
	s := Segment{Partition: p.index, Member: -1, From: time.Duration(w.now - w.zero)}
	switch state {
	case owner:
		s.Member = int32(p.owner.index)
	case fenced:
		s.Fenced = true
	}
	if m.rec.open == nil {
		m.rec.open = map[int32]int{}
	}
	if i, ok := m.rec.open[p.index]; ok {
		last := &m.rec.segments[i]
		if last.Member == s.Member && last.Fenced == s.Fenced {
			return
		}
		if last.To = s.From; last.From == last.To {
			*last = s
			return
		}
	}
	if len(m.rec.segments) >= w.opt.Record {
		m.rec.full = true
		delete(m.rec.open, p.index)
		return
	}
	m.rec.open[p.index] = len(m.rec.segments)
	m.rec.segments = append(m.rec.segments, s)
}

// lag looks at the lag, now.
func (w *world) lag() Point {
	for _, m := range w.members {
		m.progress()
	}
	pt := Point{At: time.Duration(w.now - w.zero)}
	if len(w.parts) <= curvesMost {
		pt.Each = make([]int64, len(w.parts))
	}
	for i, p := range w.parts {
		lag := p.lag(w.now)
		pt.Total += lag
		w.m.lagMost = max(w.m.lagMost, lag)
		if i < len(pt.Each) {
			pt.Each[i] = lag
		}
	}
	w.m.lagTotal = max(w.m.lagTotal, pt.Total)
	return pt
}

// highest is the higher of two at each place.
func (pt Point) highest(o Point) Point {
	pt.Total = max(pt.Total, o.Total)
	for i := range min(len(pt.Each), len(o.Each)) {
		pt.Each[i] = max(pt.Each[i], o.Each[i])
	}
	return pt
}

// sample takes the lag n times over the run. A pause of seconds would fall between two samples: what it came to is kept when it ends (settle).
func (w *world) sample(n int) {
	w.m.rec.points = append(w.m.rec.points, w.lag().highest(w.m.rec.peak))
	w.m.rec.peak = Point{}
	if n < samplesOf {
		at := w.zero + vtime.Instant(mulDiv(int64(n+1), int64(w.sc.Duration), samplesOf))
		w.pushDull(event{at: at, run: func() { w.sample(n + 1) }})
	}
}

func (r *recording) done(w *world) *Recorded {
	if w.opt.Record == 0 {
		return nil
	}
	out := &Recorded{Segments: r.segments, Points: r.points, Cut: r.full}
	end := time.Duration(w.now - w.zero)
	for i := range out.Segments {
		s := &out.Segments[i]
		if at, ok := r.open[s.Partition]; ok && at == i {
			s.To = end
		}
	}
	for _, p := range w.parts {
		out.Partitions = append(out.Partitions, w.partitionName(p))
	}
	for _, m := range w.members {
		out.Members = append(out.Members, m.name)
	}
	return out
}
