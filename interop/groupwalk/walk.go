package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// mode is a way to set up both brokers, and the kind of walks that make sense there.
type mode struct {
	name string
	// properties go to both brokers; the bounds of session timeouts and the delay are what the modes are about.
	properties map[string]string
	sessionMin int32 // group.min.session.timeout.ms
	// gather says that a group that begins waits for further members, so that a first join does not end at once.
	gather bool
	// timed walks have timeouts that are short enough to wait for.
	timed bool
	// expires says that offsets with a time of their own, and empty groups without offsets, go while the walk goes on.
	expires bool
}

// sessionMax is group.max.session.timeout.ms, Kafka's default.
const sessionMax = 1_800_000

// sizeMax is group.max.size in both modes: small enough for walks to reach.
const sizeMax = 4

var modes = map[string]mode{
	// No timer fires but the initial one, which has no length.
	"plain": {name: "plain", sessionMin: 30_000, properties: map[string]string{
		"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "30000", "group.max.size": strconv.Itoa(sizeMax)}},
	// The delay and the timeouts are the events.
	"timed": {name: "timed", sessionMin: 2_500, gather: true, timed: true, properties: map[string]string{
		"group.initial.rebalance.delay.ms": "2000", "group.min.session.timeout.ms": "2500", "group.max.size": strconv.Itoa(sizeMax)}},
	// Offsets and groups are looked through all the time for those that have had theirs.
	"expiry": {name: "expiry", sessionMin: 30_000, expires: true, properties: map[string]string{
		"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "30000", "group.max.size": strconv.Itoa(sizeMax),
		"offsets.retention.check.interval.ms": "300"}},
}

// walk is a script: who takes part, and what they do, one step after the other. It knows nothing of either broker, so that both play the same.
type walk struct {
	mode   string
	seed   uint64
	groups int
	seats  []seatPlan
	steps  []step
}

// seatPlan is what a client was configured with.
type seatPlan struct {
	instance           string // group.instance.id; "" for none
	protocolType       string
	protocols          []string
	session, rebalance int32
}

// step is one thing that happens. What is not used by its kind is zero.
type step struct {
	do    string
	seat  int
	group int
	v     int16 // version of the request, cut to those its key has

	id       int    // whose member id, see idOwn
	instance string // "own", "" for null, else taken literally
	gen      int32  // added to the seat's own generation, unless one of genNone...
	// Of joins.
	protocolType       string
	protocols          []string
	meta               int // revision of the metadata
	session, rebalance int32
	// Of syncs: how to assign. Of commits and fetches: which partitions. Of leaves: who. Of listings: which filter.
	variant int
	flag    bool
	offset  int64
	seats   []int
}

// Whose member id a request names: a seat k's is k+idSeat.
const (
	idOwn    = 0
	idNone   = -1 // ""
	idNobody = -2 // one that was never given
	idOld    = -3 // the seat's own before the last
	idSeat   = 1
)

// Generations that are no distance from the seat's own.
const (
	genNone = -1000 // -1
	genZero = -1001
	genFar  = 1000
)

func generate(m mode, seed uint64) *walk {
	r := rand.New(rand.NewPCG(seed, uint64(len(m.name))))
	g := &generator{Rand: r, mode: m, walk: &walk{mode: m.name, seed: seed, groups: 1}}
	if r.IntN(3) == 0 {
		g.groups = 2 + r.IntN(2)
	}
	g.takeSeats()
	switch {
	case m.timed:
		g.timed()
	case m.expires:
		g.expiry()
	default:
		g.plain()
	}
	g.closing()
	return g.walk
}

type generator struct {
	*rand.Rand
	*walk
	mode mode
}

// takeSeats draws who takes part. The names of the protocols stand in the tables of a Java broker in the order of the alphabet, so that a vote that is tied
// ends alike on both.
func (g *generator) takeSeats() {
	lists := [][]string{{"range"}, {"range", "steady"}, {"steady", "range"}, {"roundrobin", "range"}, {"range", "roundrobin", "steady"}, {"steady", "roundrobin", "range"}}
	kind := "consumer"
	if g.IntN(5) == 0 {
		kind = "connect"
	}
	static := g.IntN(3)
	n := 2 + g.IntN(3)
	if g.IntN(6) == 0 {
		n = sizeMax + 1
	}
	for i := range n {
		p := seatPlan{protocolType: kind, protocols: pick(g, lists), session: 60_000, rebalance: 60_000}
		if static > 0 && g.IntN(3) < static {
			p.instance = "i" + strconv.Itoa(i)
			if i > 0 && g.IntN(6) == 0 {
				p.instance = "i0" // two clients under one name
			}
		}
		g.seats = append(g.seats, p)
	}
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func (g *generator) add(s step) { g.steps = append(g.steps, s) }

// plain is a walk in which no timer matters.
func (g *generator) plain() {
	n := 15 + g.IntN(45)
	g.settle(1 + g.IntN(3))
	for len(g.steps) < n {
		switch d := g.IntN(100); {
		case d < 45:
			g.next(g.IntN(len(g.seats)))
		case d < 55:
			g.settle(2 + g.IntN(3))
		default:
			g.odd()
		}
	}
}

// next is what a well-behaved client would do now.
func (g *generator) next(seat int) {
	v := int16(99)
	if g.IntN(3) == 0 {
		v = int16(g.IntN(10))
	}
	g.add(step{do: "next", seat: seat, group: g.home(seat), v: v, instance: "own", variant: g.assignments(), meta: g.meta(8)})
}

// home is the group a seat is in most of the time.
func (g *generator) home(seat int) int {
	if g.IntN(10) == 0 {
		return g.IntN(g.groups)
	}
	return seat % g.groups
}

// settle lets everybody go on for some rounds, which usually ends in Stable.
func (g *generator) settle(rounds int) {
	for range rounds {
		for seat := range g.seats {
			g.add(step{do: "next", seat: seat, group: seat % g.groups, v: 99, instance: "own"})
		}
	}
}

func (g *generator) meta(rarely int) int {
	if g.IntN(rarely) > 0 {
		return 0
	}
	return g.IntN(5)
}

func (g *generator) assignments() int {
	if g.IntN(4) > 0 {
		return 0
	}
	return g.IntN(5)
}

func (g *generator) whose() int {
	switch d := g.IntN(20); {
	case d < 10:
		return idOwn
	case d < 12:
		return idNone
	case d < 14:
		return idNobody
	case d < 16:
		return idOld
	}
	return idSeat + g.IntN(len(g.seats))
}

func (g *generator) instanceOf() string {
	return pick(g, []string{"own", "own", "own", "own", "own", "own", "", "", "i0", "i1", "nobody"})
}

func (g *generator) generation() int32 {
	return pick(g, []int32{0, 0, 0, 0, 0, 0, -1, 1, genNone, genNone, genZero, genFar})
}

// odd is any request at any time, right or wrong.
func (g *generator) odd() {
	seat := g.IntN(len(g.seats))
	s := step{seat: seat, group: g.home(seat), instance: g.instanceOf(), id: g.whose()}
	switch d := g.IntN(100); {
	case d < 22:
		p := g.seats[seat]
		s.do, s.v, s.meta = "join", int16(g.IntN(10)), g.meta(4)
		s.session, s.rebalance, s.protocolType, s.protocols = p.session, p.rebalance, p.protocolType, p.protocols
		switch g.IntN(12) {
		case 0:
			s.session = pick(g, []int32{g.mode.sessionMin, g.mode.sessionMin - 1, sessionMax, sessionMax + 1, -1, 0})
		case 1:
			s.protocolType = pick(g, []string{"connect", "consumer", ""})
		case 2:
			s.protocols = pick(g, [][]string{nil, {"range"}, {"steady"}, {"unheard-of"}, {"unheard-of", "range"}, {"steady", "range"}, {"roundrobin", "steady"}})
		case 3:
			s.rebalance = pick(g, []int32{45_000, 300_000})
		}
	case d < 32:
		s.do, s.v, s.gen, s.variant = "sync", int16(g.IntN(6)), g.generation(), g.IntN(5)
		s.protocolType, s.protocols = "own", nil
		if g.IntN(4) == 0 {
			s.protocolType = pick(g, []string{"", "null", "connect", "consumer"})
		}
		if g.IntN(4) == 0 {
			s.protocols = []string{pick(g, []string{"range", "steady", "null", "unheard-of", ""})}
		}
	case d < 40:
		s.do, s.v, s.gen = "heartbeat", int16(g.IntN(5)), g.generation()
	case d < 52:
		s.do, s.v, s.variant = "leave", int16(g.IntN(6)), g.IntN(6)
		s.seats = []int{g.IntN(len(g.seats)), g.IntN(len(g.seats))}
	case d < 66:
		s.do, s.v, s.gen, s.variant = "commit", int16(2+g.IntN(8)), g.generation(), g.IntN(7)
		s.offset = pick(g, []int64{0, 1, 7, 1 << 40, -1, int64(g.IntN(1000))})
		if g.IntN(3) == 0 { // nobody in particular
			s.id, s.gen, s.instance = idNone, genNone, ""
		}
	case d < 74:
		s.do, s.v, s.variant, s.flag, s.gen = "fetch", int16(1+g.IntN(9)), g.IntN(6), g.IntN(3) == 0, g.generation()
		if g.IntN(2) == 0 {
			s.id, s.gen = idNone, genNone
		}
	case d < 77:
		s.do, s.variant = "delete-offsets", g.IntN(4)
	case d < 81:
		s.do, s.v, s.flag = "describe", int16(g.IntN(7)), g.IntN(3) == 0
	case d < 84:
		s.do, s.v, s.variant = "list", int16(g.IntN(6)), g.IntN(8)
	case d < 88:
		s.do, s.v, s.variant = "delete-groups", int16(g.IntN(3)), g.IntN(3)
	case d < 90:
		s.do, s.v, s.variant = "find", int16(g.IntN(6)), g.IntN(3)
	case d < 97:
		s.do = "drop"
	default:
		if g.IntN(3) > 0 {
			return // these cost time
		}
		s.do = pick(g, []string{"create", "create", "grow", "delete-topic"})
	}
	g.add(s)
}

// timed is a walk around one timer: members gather, and then one of them goes silent in one of the ways in which a member can.
func (g *generator) timed() {
	late := g.IntN(len(g.seats))
	kind := g.IntN(6)
	for i := range g.seats {
		if kind == 1 || kind == 2 || kind == 3 {
			g.seats[i].rebalance = 3_000
		}
	}
	if kind == 0 {
		g.seats[late].session = 2_500
	}
	everybody := func() {
		for seat := range g.seats {
			g.add(step{do: "next", seat: seat, group: 0, v: 99, instance: "own"})
		}
	}
	wait := step{do: "wait", group: 0}
	g.groups = 1
	everybody() // ids
	everybody() // joins, which the delay gathers
	g.add(wait)
	switch kind {
	case 0, 1: // a session that ends, in Stable; a member that does not rejoin
		everybody()
		everybody()
		everybody()
		if kind == 0 {
			g.add(wait)
			break
		}
		g.add(step{do: "join", seat: (late + 1) % len(g.seats), id: idOwn, v: 9, instance: "own", session: 60_000, rebalance: 3_000,
			protocolType: g.seats[0].protocolType, protocols: g.seats[(late+1)%len(g.seats)].protocols, meta: 1})
		for seat := range g.seats {
			if seat != late {
				g.add(step{do: "next", seat: seat, v: 99, instance: "own"})
				g.add(step{do: "next", seat: seat, v: 99, instance: "own"})
			}
		}
		g.add(wait)
	case 2: // the leader does not sync
		for seat := range g.seats {
			g.add(step{do: "next", seat: seat, v: 99, instance: "own", variant: 9}) // unless it leads
		}
		g.add(wait)
	case 3: // one does not sync
		for seat := range g.seats {
			if seat != late {
				g.add(step{do: "next", seat: seat, v: 99, instance: "own"})
			}
		}
		g.add(wait)
	case 4: // an id with which nobody comes back holds the next round open
		everybody()
		g.add(step{do: "join", seat: late, id: idNone, v: 9, session: 2_500, rebalance: 60_000, protocolType: g.seats[0].protocolType, protocols: g.seats[late].protocols})
		g.add(step{do: "join", seat: late, id: idOwn, v: 9, instance: "own", session: 60_000, rebalance: 60_000, protocolType: g.seats[0].protocolType, protocols: g.seats[late].protocols, meta: 1})
		everybody()
		everybody()
		g.add(wait)
	case 5: // more come while the members gather
		for range 3 {
			g.next(g.IntN(len(g.seats)))
		}
	}
	for range 2 + g.IntN(3) {
		everybody()
	}
	g.add(wait)
	everybody()
}

// expiry is a walk of members without ids that nobody uses (version 3 gives none), since a group that is empty but for them goes, too.
func (g *generator) expiry() {
	g.groups = 1
	standalone := step{do: "commit", id: idNone, gen: genNone, v: 9, variant: 1, offset: 3}
	short := step{do: "commit", v: 2, variant: 6, offset: 3}
	look := step{do: "fetch", v: 7, id: idNone, gen: genNone, variant: 5}
	gone := step{do: "await-expiry"}
	for i := range g.seats {
		g.seats[i].instance = ""
	}
	switch g.IntN(3) {
	case 0: // nobody's offsets
		short.id, short.gen = idNone, genNone
		if g.IntN(2) == 0 {
			g.add(standalone)
		}
		g.add(short)
	default: // a member's, in a group that is at work
		for range 4 {
			for seat := range g.seats[:2] {
				g.add(step{do: "next", seat: seat, v: 3})
			}
		}
		short.seat = g.IntN(2)
		g.add(short)
		if g.IntN(2) == 0 {
			g.add(step{do: "commit", seat: short.seat, v: 7, variant: 2, offset: 8})
		}
	}
	g.add(gone)
	g.add(look)
	for range 3 {
		for seat := range g.seats[:2] {
			g.add(step{do: "next", seat: seat, v: 3})
		}
	}
	g.add(step{do: "commit", seat: 1, v: 7, variant: 1, offset: 9})
	g.add(look)
}

// closing looks at what the walk has left.
func (g *generator) closing() {
	for i := range g.groups {
		g.add(step{do: "fetch", v: 7, group: i, id: idNone, gen: genNone, variant: 5})
		g.add(step{do: "describe", v: 6, group: i})
	}
	g.add(step{do: "list", v: 5})
	g.add(step{do: "delete-groups", v: 2, variant: 1})
	g.add(step{do: "describe", v: 5})
}

// String says what the step is, in one line.
func (s step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%c %s g%d", 'a'+s.seat, s.do, s.group)
	if s.v != 99 {
		fmt.Fprintf(&b, " v%d", s.v)
	}
	put := func(name string, is bool, v any) {
		if is {
			fmt.Fprintf(&b, " %s=%v", name, v)
		}
	}
	switch {
	case s.id >= idSeat:
		put("id", true, string(rune('a'+s.id-idSeat))+"'s")
	case s.id != idOwn:
		put("id", true, map[int]string{idNone: `""`, idNobody: "nobody", idOld: "old"}[s.id])
	}
	put("instance", s.instance != "own" && s.instance != "", s.instance)
	switch s.gen {
	case 0:
	case genNone:
		put("generation", true, -1)
	case genZero:
		put("generation", true, 0)
	default:
		fmt.Fprintf(&b, " generation=own%+d", s.gen)
	}
	put("type", s.protocolType != "", s.protocolType)
	put("protocols", s.protocols != nil, s.protocols)
	put("metadata", s.meta != 0, s.meta)
	put("session", s.session != 0, s.session)
	put("rebalance", s.rebalance != 0, s.rebalance)
	put("variant", s.variant != 0, s.variant)
	put("flag", s.flag, s.flag)
	put("offset", s.offset != 0, s.offset)
	put("others", s.seats != nil, s.seats)
	return b.String()
}
