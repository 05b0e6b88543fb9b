package sim

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The report: one HTML page without anything from elsewhere, drawn as SVG.

// Page is what a report shows: runs of one scenario, side by side.
type Page struct {
	Name, About string
	Of          string // what the table is of: "means of 3 runs, seeds 1 to 3", or that it was interrupted; "" for whole runs of one seed
	Runs        []PageRun
}

// PageRun is one column of it; its Result was recorded.
type PageRun struct {
	Name   string
	Result *Result
	Means  map[string]float64 // what the table has, by key of the metric; nil for the Result itself
}

//go:embed report.html
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// Sizes of the drawing, in pixels.
const (
	left, plot     = 110, 1000 // names, time
	lanesEachMost  = 200       // above, lanes are drawn together
	ribbonsMost    = 5000      // above, lanes are drawn together too
	slots          = 500       // columns of lanes drawn together
	curveHeight    = 160
	togetherHeight = 180
)

// HTML draws the page.
func HTML(p Page) ([]byte, error) {
	view := reportView{Page: p}
	for _, m := range Metrics() {
		row := reportRow{Title: strings.TrimSpace(m.Title), Indent: strings.HasPrefix(m.Title, " "), Unit: m.Unit, Help: m.Help}
		for _, r := range p.Runs {
			v, several := r.Means[m.Key]
			if !several {
				v = m.Of(r.Result)
			}
			row.Cells = append(row.Cells, cellText(v))
		}
		view.Rows = append(view.Rows, row)
	}
	for _, r := range p.Runs {
		if r.Result.Recorded == nil {
			return nil, fmt.Errorf("drawing %s: the run was not recorded", r.Name)
		}
		view.Pictures = append(view.Pictures, draw(r))
	}
	var b bytes.Buffer
	if err := reportTemplate.Execute(&b, view); err != nil {
		return nil, fmt.Errorf("drawing the report: %w", err)
	}
	return b.Bytes(), nil
}

type reportView struct {
	Page     Page
	Rows     []reportRow
	Pictures []picture
}

type reportRow struct {
	Title, Unit, Help string
	Indent            bool
	Cells             []string
}

func cellText(v float64) string {
	if v >= 1000 {
		v = math.Round(v)
	}
	if v == float64(int64(v)) {
		s := strconv.FormatInt(int64(v), 10)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "\u2009" + s[i:]
		}
		return s
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// picture is the drawings of one run.
type picture struct {
	Name, Seed, Hash           string
	Partitions, Members, Curve template.HTML
	Together, Cut, Worst       bool
	Points                     int
}

type canvas struct {
	b   strings.Builder
	end time.Duration
}

func (c *canvas) x(at time.Duration) float64 {
	return left + plot*float64(at)/float64(max(c.end, 1))
}

func (c *canvas) put(format string, args ...any) { fmt.Fprintf(&c.b, format, args...) }

// open begins a drawing of a height, with a time axis under it.
func (c *canvas) open(height int, label string) {
	c.put(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, left+plot+20, height+24, template.HTMLEscapeString(label))
	for _, at := range ticks(c.end) {
		c.put(`<line class="tick" x1="%.1f" x2="%.1f" y1="0" y2="%d"/><text class="axis" x="%.1f" y="%d">%s</text>`, c.x(at), c.x(at), height, c.x(at), height+16, shortSpan(at))
	}
}

func (c *canvas) close() template.HTML {
	c.put(`</svg>`)
	out := template.HTML(c.b.String()) // numbers and escaped names only
	c.b.Reset()
	return out
}

// ticks are about ten round moments.
func ticks(end time.Duration) (out []time.Duration) {
	step := time.Second
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800} {
		if step = s * time.Second; end/step <= 12 {
			break
		}
	}
	for at := time.Duration(0); at <= end; at += step {
		out = append(out, at)
	}
	return out
}

func shortSpan(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// colour is a member's own: hues around the circle, so that neighbours differ.
func colour(member int32) string { return fmt.Sprintf("hsl(%d 55%% 55%%)", (205+int(member)*137)%360) }

func draw(r PageRun) picture {
	rec := r.Result.Recorded
	c := &canvas{end: r.Result.Time}
	out := picture{Name: r.Name, Seed: fmt.Sprint(r.Result.Seed), Hash: r.Result.Hash, Cut: rec.Cut, Points: len(rec.Points), Worst: len(rec.Points) > 0 && rec.Points[0].Each != nil}
	out.Together = len(rec.Partitions) > lanesEachMost || len(rec.Segments) > ribbonsMost
	if out.Together {
		out.Partitions = c.together(rec)
	} else {
		out.Partitions = c.lanes(rec)
	}
	out.Members = c.members(rec)
	out.Curve = c.curve(rec, out.Worst)
	return out
}

// lanes draws a lane for each partition: the colour is the member's, what moved is marked, hatched is a pause.
func (c *canvas) lanes(rec *Recorded) template.HTML {
	n := len(rec.Partitions)
	step := min(18, max(4, 900/max(n, 1)))
	c.open(n*step, "who reads which partition")
	for i, name := range rec.Partitions {
		if step >= 12 || i%10 == 0 {
			c.put(`<text class="name" x="%d" y="%d">%s</text>`, left-6, i*step+max(step-4, 8), template.HTMLEscapeString(clip(name)))
		}
	}
	last := make([]int32, n) // who read it last, from 1
	for _, s := range rec.Segments {
		y, x := int(s.Partition)*step, c.x(s.From)
		w := max(c.x(s.To)-x, 0.5)
		what, class := "paused", `class="paused"`
		switch {
		case s.Member >= 0:
			what, class = rec.Members[s.Member], `fill="`+colour(s.Member)+`"`
		case s.Fenced:
			what, class = "read by a member that was put out", `class="fenced"`
		}
		c.put(`<rect x="%.2f" y="%d" width="%.2f" height="%d" %s><title>%s: %s, %s to %s</title></rect>`, x, y+1, w, step-2, class,
			template.HTMLEscapeString(rec.Partitions[s.Partition]), template.HTMLEscapeString(what), s.From.Round(time.Millisecond), s.To.Round(time.Millisecond))
		if s.Member >= 0 {
			if was := last[s.Partition]; was != 0 && was != s.Member+1 {
				c.put(`<path class="moved" d="M%.2f %d l4 %d l-4 %d z"/>`, x, y+1, (step-2)/2, (step-1)/2)
			}
			last[s.Partition] = s.Member + 1
		}
	}
	return c.close()
}

func clip(name string) string {
	if len(name) > 16 {
		return name[:7] + ".." + name[len(name)-7:]
	}
	return name
}

// together draws how many partitions nobody reads, and how many are read by members that were put out.
func (c *canvas) together(rec *Recorded) template.HTML {
	var paused, fencedOnes [slots]float64
	width := max(c.end/slots, 1)
	// The last column, from 1, in which a partition was counted. Its segments come in order of time: one that is paused twice in a column counts once.
	pausedIn, fencedIn := make([]int, len(rec.Partitions)), make([]int, len(rec.Partitions))
	for _, s := range rec.Segments {
		if s.Member >= 0 {
			continue
		}
		in, count := &pausedIn[s.Partition], &paused
		if s.Fenced {
			in, count = &fencedIn[s.Partition], &fencedOnes
		}
		for i := max(int(s.From/width), *in); i < slots && time.Duration(i)*width < s.To; i++ {
			count[i]++
			*in = i + 1
		}
	}
	most := 1.0
	for i := range slots {
		most = max(most, paused[i]+fencedOnes[i])
	}
	c.open(togetherHeight, "partitions that nobody reads")
	c.put(`<text class="name" x="%d" y="12">%.0f of %d</text><text class="name" x="%d" y="%d">0</text>`, left-6, most, len(rec.Partitions), left-6, togetherHeight)
	bar := func(class string, i int, from, height float64) {
		if height > 0 {
			h := (togetherHeight - 6) / most
			c.put(`<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"><title>%s: %.0f partitions</title></rect>`, class, left+float64(plot*i)/slots,
				togetherHeight-h*(from+height), float64(plot)/slots, h*height, (time.Duration(i) * width).Round(time.Second), height)
		}
	}
	for i := range slots {
		bar("paused-solid", i, 0, paused[i])
		bar("fenced", i, paused[i], fencedOnes[i])
	}
	return c.close()
}

// change is a member getting or losing a partition.
type change struct {
	at   time.Duration
	more int
}

// members draws, for each member, how many partitions it has: the darker the more.
func (c *canvas) members(rec *Recorded) template.HTML {
	n := min(len(rec.Members), lanesEachMost)
	step := min(18, max(4, 900/max(n, 1)))
	changes := make([][]change, n)
	for _, s := range rec.Segments {
		if s.Member >= 0 && int(s.Member) < n {
			changes[s.Member] = append(changes[s.Member], change{s.From, 1}, change{s.To, -1})
		}
	}
	most := 1
	for i := range changes {
		slices.SortStableFunc(changes[i], func(a, b change) int { return cmp.Compare(a.at, b.at) })
		has := 0
		for k, ch := range changes[i] {
			has += ch.more
			if k+1 == len(changes[i]) || changes[i][k+1].at != ch.at {
				most = max(most, has)
			}
		}
	}
	c.open(n*step, "what each member has")
	for i := range n {
		if step >= 12 || i%10 == 0 {
			c.put(`<text class="name" x="%d" y="%d">%s</text>`, left-6, i*step+max(step-4, 8), template.HTMLEscapeString(clip(rec.Members[i])))
		}
		has, from := 0, time.Duration(0)
		flush := func(to time.Duration) {
			if has > 0 && to > from {
				x := c.x(from)
				c.put(`<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s" fill-opacity="%.2f"><title>%s: %d, %s to %s</title></rect>`, x, i*step+1, max(c.x(to)-x, 0.4), step-2,
					colour(int32(i)), 0.25+0.75*float64(has)/float64(most), template.HTMLEscapeString(rec.Members[i]), has, from.Round(time.Millisecond), to.Round(time.Millisecond))
			}
		}
		for k := 0; k < len(changes[i]); {
			at, delta := changes[i][k].at, 0
			for ; k < len(changes[i]) && changes[i][k].at == at; k++ {
				delta += changes[i][k].more
			}
			if delta != 0 {
				flush(at)
				has, from = has+delta, at
			}
		}
		flush(c.end)
	}
	return c.close()
}

// curve draws the lag of all, and of the partition that is furthest behind.
func (c *canvas) curve(rec *Recorded, each bool) template.HTML {
	most, worst := int64(1), make([]int64, len(rec.Points))
	for i, p := range rec.Points {
		most = max(most, p.Total)
		for _, l := range p.Each {
			worst[i] = max(worst[i], l)
		}
	}
	c.open(curveHeight, "records produced and not processed")
	y := func(v int64) float64 { return curveHeight - (curveHeight-8)*float64(v)/float64(most) }
	line := func(class string, of func(i int) int64) {
		var d strings.Builder
		for i, p := range rec.Points {
			fmt.Fprintf(&d, "%.1f,%.1f ", c.x(p.At), y(of(i)))
		}
		c.put(`<polyline class="%s" points="%s"/>`, class, strings.TrimSpace(d.String()))
	}
	c.put(`<text class="name" x="%d" y="12">%s</text><text class="name" x="%d" y="%d">0</text>`, left-6, cellText(float64(most)), left-6, curveHeight)
	line("total", func(i int) int64 { return rec.Points[i].Total })
	if each {
		line("worst", func(i int) int64 { return worst[i] })
	}
	return c.close()
}
