package assign

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The tables of docs/assignors.md. `make bench-assignors` runs TestDocsBenchmarks and TestDocsGrid with the name of that file, and the test writes them
// there (in a tenth of the time with BARNABAS_ASSIGN_QUICK=1, for a look); without it, the test goes through the same motions with a few
// small groups, and without Java.

// benchRow is one group of the grid.
type benchRow struct {
	shape                       string // as in drawGroup; "+ racks" when members sit in three racks and partitions in two of these
	members, partitions, topics int
}

func (r benchRow) size() string {
	return fmt.Sprintf("%d x %d x %d", r.members, r.partitions, r.topics)
}

func benchRows() []benchRow {
	var rows []benchRow
	for _, shape := range []string{"equal", "buckets", "half"} {
		for _, g := range grid {
			if shape == "equal" || g.partitions < 1_000_000 {
				rows = append(rows, benchRow{shape, g.members, g.partitions, g.topics})
			}
		}
	}
	return append(rows, benchRow{"equal + racks", 1000, 10_000, 100}, benchRow{"half + racks", 1000, 10_000, 100})
}

// draw makes the group as it is before a run, for clients and for the coordinator.
func (r benchRow) draw(tb testing.TB, run string) (in instance, members []GroupMember, topics []GroupTopic) {
	shape, racks := strings.CutSuffix(r.shape, " + racks")
	in.members, in.topics = drawGroup(r.members, r.partitions, r.topics, shape)
	if racks {
		withRacks(in.members, in.topics)
	}
	in.members, in.topics = prepare(tb, CooperativeSticky{}, run, in.members, in.topics)
	if !racks && (run == "full" || run == "join") {
		members, topics = drawServerGroup(tb, r.members, r.partitions, r.topics, shape, run)
	}
	return in, members, topics
}

// prepare makes the state before a run: full = nobody owns anything, join = all but the last are settled, leave = the first of a settled
// group is gone, grow = a topic has one partition more than when all settled.
func prepare(tb testing.TB, a Assignor, run string, members []Member, topics []Topic) ([]Member, []Topic) {
	if run == "full" {
		return members, topics
	}
	settleGroup(tb, a, members, topics)
	switch run {
	case "leave":
		members = members[1 : len(members)-1]
	case "grow":
		members = members[:len(members)-1]
		topics[0].Partitions++
		if racks := topics[0].Racks; racks != nil {
			topics[0].Racks = append(racks, racks[0])
		}
	}
	return members, topics
}

// timing is how much of a CPU something takes when it is repeated. Medians decide. One batch in a hundred is faster than fastest: a clock that goes
// wrong once does not show.
type timing struct{ fastest, median, p99 time.Duration }

// measureInTurn repeats several things, one after the other and again from the first, so that they can be compared on a machine whose speed changes from
// second to second, until each has had so much of a CPU, or ten times as long has passed. Times are those of its own thread, so that other work on the
// machine does not count. What is over soon is measured in batches of half a millisecond: a thread's clock may be wrong by 20 µs.
//
// Garbage is collected before each batch and not in it. Whoever repeats a plan a thousand times in a row has a collection in every few, and what it
// costs depends on what else is in memory; a group makes one plan and then none for a while. How much a plan allocates is a column of its own.
func measureInTurn(budget time.Duration, fs ...func()) []timing {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	if docsFile() != "" { // the race detector would touch it
		ballast := make([]byte, 2<<30) // untouched; the runtime hands memory back, and asks for it anew page by page, beyond a tenth of what is in use
		defer runtime.KeepAlive(ballast)
	}
	batch := func(f func(), n int) time.Duration {
		runtime.GC()
		at := threadTime()
		for range n {
			f()
		}
		return threadTime() - at
	}
	sizes, took := make([]int, len(fs)), make([][]time.Duration, len(fs))
	slow := time.Duration(0)
	for i, f := range fs {
		sizes[i] = 1
		t := batch(f, 1)
		for ; t < 500*time.Microsecond && sizes[i] < 1<<12; t = batch(f, sizes[i]) {
			sizes[i] *= 2
		}
		took[i] = append(took[i], t/time.Duration(sizes[i]))
		slow += t
	}
	rounds := 5
	if slow > time.Second {
		rounds = 2
	}
	start, used := time.Now(), slow
	budget *= time.Duration(len(fs))
	for len(took[0]) < rounds || used < budget && time.Since(start) < 10*budget {
		for i, f := range fs {
			t := batch(f, sizes[i])
			used += t
			took[i] = append(took[i], t/time.Duration(sizes[i]))
		}
	}
	var all []timing
	for _, t := range took {
		slices.Sort(t)
		all = append(all, timing{t[len(t)/100], t[len(t)/2], t[len(t)*99/100]})
	}
	return all
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3g", float64(d)/1e6) }

func (t timing) three() string {
	return millis(t.fastest) + " / " + millis(t.median) + " / " + millis(t.p99)
}

func (t timing) two() string {
	if t.median == 0 {
		return "-"
	}
	return millis(t.fastest) + " / " + millis(t.median)
}

// memory is what one call allocates, the least of a few: one that finds nothing to use again, because garbage was just collected, allocates more.
func memory(f func()) (allocations uint64, megabytes float64) {
	var before, after runtime.MemStats
	for i := range 4 {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		n, mb := after.Mallocs-before.Mallocs, float64(after.TotalAlloc-before.TotalAlloc)/1e6
		if i == 0 || n < allocations {
			allocations, megabytes = n, mb
		}
	}
	return allocations, megabytes
}

// bench collects the tables and what they say about the promises.
type bench struct {
	testing.TB
	budget       time.Duration // for each cell
	javaBudget   time.Duration
	java         *javaProcess // nil: not asked
	ours, beside []string
	equal        []string // cells of equal subscriptions beyond ten times the floor
	allocations  uint64   // the most that any run with equal subscriptions needed
	worst        float64  // of equal subscriptions, in floors: from nothing,
	later        float64  // and after a change
	joins        []string // where one join takes longer than an assignment from nothing
	slower       []string // where Java's uniform is faster
	unproven     []string
}

func (b *bench) row(r benchRow) {
	_, all := drawGroup(r.members, r.partitions, r.topics, "equal")
	lists := newLister(r.members, all)
	type cell struct {
		run, assignor string
		in            instance
		at, floor     int // where it is in fs, and what it is judged by
	}
	var fs []func()
	var listed int // where the floor with lists is in fs
	var cells []cell
	add := func(run, assignor string, in instance, floor int, f func() error) {
		cells = append(cells, cell{run, assignor, in, len(fs), floor})
		fs = append(fs, func() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		})
	}
	var proofs []string
	for _, run := range []string{"full", "join", "leave", "grow"} {
		in, members, topics := r.draw(b, run)
		at := len(fs)
		if owner := ownersOf(in); run == "full" {
			count, out := make([]int32, r.members+1), make([]int32, r.partitions)
			fs = append(fs, func() { floor(owner, count, out) }, func() { lists.list() })
			listed = at + 1
		} else {
			space := newFloorSpace(len(in.members), len(owner))
			fs = append(fs, func() { floorWithMemory(owner, space) })
		}
		add(run, "cooperative-sticky", in, at, func() error { _, err := CooperativeSticky{}.Assign(in.members, in.topics); return err })
		if members != nil {
			add(run, "uniform", in, at, func() error { _, err := Uniform{}.Assign(members, topics); return err })
		}
		if how := proof(in, target(b, in)); how != "" {
			proofs = append(proofs, fmt.Sprintf("%s, %s, %s: %s", r.shape, r.size(), run, how))
		}
	}
	b.unproven = append(b.unproven, proofs...)
	budget := b.budget
	if r.partitions <= 10_000 {
		budget *= 3 // short runs are the first to show what else the machine does
	}
	times := measureInTurn(budget, fs...)
	shown := map[string]string{"uniform full": "-", "uniform join": "-"}
	var allocated, floors []string
	fresh, server := make(map[string]time.Duration), make(map[string]timing)
	for _, c := range cells {
		where := fmt.Sprintf("%s, %s, %s, `%s`", r.shape, r.size(), c.run, c.assignor)
		took, least := times[c.at], times[c.floor].median
		ratio := float64(took.median) / float64(least)
		n, mb := memory(fs[c.at])
		if r.shape == "equal" {
			b.allocations = max(b.allocations, n)
			if ratio > 10 {
				b.equal = append(b.equal, fmt.Sprintf("%s: %.1f (%.1f times the floor with lists)", where, ratio, float64(took.median)/float64(times[listed].median)))
			}
			if c.run == "full" {
				b.worst = max(b.worst, ratio)
			} else {
				b.later = max(b.later, ratio)
			}
		}
		if c.run == "full" {
			fresh[c.assignor] = took.median
		} else if full := fresh[c.assignor]; c.run == "join" && took.median > full+full/20 {
			b.joins = append(b.joins, fmt.Sprintf("%s: %s ms against %s", where, millis(took.median), millis(full)))
		}
		if c.assignor == "uniform" {
			shown["uniform "+c.run] = took.three()
			server[c.run] = took
			continue
		}
		shown[c.run] = took.three()
		allocated = append(allocated, fmt.Sprint(n))
		floors = append(floors, fmt.Sprintf("%.1f", ratio))
		if c.run == "full" {
			shown["floor"], shown["MB"] = millis(least), fmt.Sprintf("%.2f", mb)
		} else {
			shown["with memory"] += ", " + millis(least)
		}
	}
	b.ours = append(b.ours, "| "+strings.Join([]string{r.shape, r.size(), shown["floor"], shown["with memory"][2:], millis(times[listed].median), shown["full"], shown["join"],
		shown["leave"], shown["grow"], strings.Join(floors, ", "), shown["uniform full"], shown["uniform join"], shown["MB"], strings.Join(allocated, ", ")}, " | ")+" |")
	for _, c := range cells {
		if c.assignor == "cooperative-sticky" && (c.run == "full" || c.run == "join") {
			b.compare(r, c.run, c.in, times[c.at], server[c.run])
		}
	}
}

// compare gives the same group to Java and to franz-go.
func (b *bench) compare(r benchRow, run string, in instance, client, server timing) {
	var javaClient, javaServer, leader, franz timing
	if b.java != nil {
		// Java's sticky needs minutes and more for large groups with unequal subscriptions, and is not asked.
		if strings.HasPrefix(r.shape, "equal") || r.members <= 100 {
			javaClient = b.java.time(b, "cooperative-sticky", in, b.javaBudget)
		}
		if server.median > 0 { // Java's uniform knows no racks
			javaServer = b.java.time(b, "server-uniform", in, b.javaBudget)
			if javaServer.median < server.median {
				b.slower = append(b.slower, fmt.Sprintf("%s, %s, %s: %s ms against %s", r.shape, r.size(), run, millis(server.median), millis(javaServer.median)))
			}
		}
	}
	if !strings.Contains(r.shape, "racks") { // franz-go looks at leaders only
		joined, counts := encoded(b, in)
		lead := measureInTurn(b.budget, func() { leadOurs(b, joined, in.topics) }, func() { leadFranz(b, joined, counts) })
		leader, franz = lead[0], lead[1]
	}
	b.beside = append(b.beside, "| "+strings.Join([]string{r.shape, r.size(), run, client.two(), javaClient.two(), server.two(), javaServer.two(),
		leader.two(), franz.two()}, " | ")+" |")
}

// encoded is what the members of a group send, and what kgo knows of its topics.
func encoded(tb testing.TB, in instance) (joined []kmsg.JoinGroupResponseMember, counts map[string]int32) {
	counts = make(map[string]int32)
	for _, t := range in.topics {
		counts[t.Name] = t.Partitions
	}
	for _, m := range in.members {
		data, err := AppendSubscription(nil, CooperativeSticky{}.Subscribe(m.Topics, m.Owned, m.Generation, ""), SubscriptionVersion)
		if err != nil {
			tb.Fatal(err)
		}
		j := kmsg.NewJoinGroupResponseMember()
		j.MemberID, j.ProtocolMetadata = m.ID, data
		joined = append(joined, j)
	}
	return joined, counts
}

// leadOurs is what a leader does between the JoinGroup response and the SyncGroup request.
func leadOurs(tb testing.TB, joined []kmsg.JoinGroupResponseMember, topics []Topic) {
	var in Interner
	members := make([]Member, 0, len(joined))
	for i := range joined {
		s, err := in.DecodeSubscription(joined[i].ProtocolMetadata)
		if err != nil {
			tb.Fatal(err)
		}
		members = append(members, Member{ID: joined[i].MemberID, Subscription: s})
	}
	plan, err := CooperativeSticky{}.Assign(members, topics)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range plan {
		if _, err := AppendAssignment(nil, plan[i], 0); err != nil {
			tb.Fatal(err)
		}
	}
}

// leadFranz is the same by franz-go's own cooperative-sticky.
func leadFranz(tb testing.TB, joined []kmsg.JoinGroupResponseMember, counts map[string]int32) {
	g, _, err := kgo.CooperativeStickyBalancer().MemberBalancer(joined)
	if err != nil {
		tb.Fatal(err)
	}
	into, err := g.(kgo.GroupMemberBalancerOrError).BalanceOrError(counts)
	if err != nil {
		tb.Fatal(err)
	}
	into.IntoSyncAssignment()
}

// proof shows that a plan is optimal, and answers what it cannot show.
func proof(in instance, plan []Assignment) string {
	if loadsProve(in, plan) {
		return ""
	}
	if len(in.members) > 1000 {
		return "no proof for a group of this size"
	}
	if err := certificate(in, plan); err != nil {
		return err.Error()
	}
	return ""
}

// loadsProve compares a plan with what no balanced plan can beat: in each part of the group, loads of q and q+1, and of what somebody owns,
// as much kept as loads allow. That is enough where racks do not matter and nothing more has to move.
func loadsProve(in instance, plan []Assignment) bool {
	if in.topics[0].Racks != nil {
		return false
	}
	partOf := make(map[string]string) // topic -> a topic that stands for its part of the group
	var find func(t string) string
	find = func(t string) string {
		if partOf[t] == "" || partOf[t] == t {
			return t
		}
		partOf[t] = find(partOf[t])
		return partOf[t]
	}
	seen := make(map[*string]bool)
	for _, m := range in.members {
		if len(m.Topics) == 0 || seen[&m.Topics[0]] {
			continue
		}
		seen[&m.Topics[0]] = true
		for _, t := range m.Topics {
			partOf[find(t)] = find(m.Topics[0])
		}
	}
	type part struct{ members, partitions, owned, moved, most, more, lack int }
	parts := make(map[string]*part)
	at := func(t string) *part {
		k := find(t)
		if parts[k] == nil {
			parts[k] = new(part)
		}
		return parts[k]
	}
	for _, t := range in.topics {
		at(t.Name).partitions += int(t.Partitions)
	}
	for _, m := range in.members {
		if len(m.Topics) > 0 {
			at(m.Topics[0]).members++
		}
	}
	for i, m := range in.members {
		if len(m.Topics) == 0 {
			continue
		}
		p, had := at(m.Topics[0]), Assignment{Partitions: m.Owned}.Len()
		q := p.partitions / p.members
		if load := plan[i].Len(); load < q || load > q+1 {
			return false
		}
		p.owned += had
		p.most += min(had, q)
		if had > q {
			p.more++
		}
		p.lack += max(q-had, 0)
		kept := make(map[tp]bool)
		for _, tps := range plan[i].Partitions {
			for _, k := range tps.Partitions {
				kept[tp{tps.Topic, k}] = true
			}
		}
		for _, tps := range m.Owned {
			for _, k := range tps.Partitions {
				if !kept[tp{tps.Topic, k}] {
					p.moved++
				}
			}
		}
	}
	for _, p := range parts {
		if p.members == 0 {
			continue
		}
		atLeast := max(p.owned-p.most-min(p.partitions%p.members, p.more), p.lack-(p.partitions-p.owned))
		if p.moved > atLeast {
			return false
		}
	}
	return true
}

// docsFile is the document to write to; "" = none.
func docsFile() string { return os.Getenv("BARNABAS_ASSIGN_DOCS") }

func quick() bool { return os.Getenv("BARNABAS_ASSIGN_QUICK") != "" }

func TestDocsBenchmarks(t *testing.T) {
	docs := docsFile()
	b := &bench{TB: t, budget: 150 * time.Millisecond}
	rows := benchRows()
	if docs == "" {
		b.budget = time.Millisecond
		rows = []benchRow{rows[0], {"buckets", 10, 100, 10}, {"half", 10, 100, 10}, {"half + racks", 10, 100, 10}}
	} else {
		b.java = startJava(t, "-Xmx4g")
		b.javaBudget = time.Second // Java compiles what it repeats
		if quick() {
			b.budget, b.javaBudget = b.budget/10, b.javaBudget/10
		}
	}
	for i, r := range rows {
		t.Log(r.shape, r.size())
		b.row(r)
		if docs != "" && i+1 < len(rows) { // what an interrupted run has found is not lost
			writePart(t, docs, "benchmarks", fmt.Sprintf("The first %d of %d groups:\n\n%s", i+1, len(rows), b.report()))
		}
	}
	if len(b.unproven) > 0 && docs == "" {
		t.Errorf("not shown to be optimal: %v", b.unproven)
	}
	if len(b.ours) != len(rows) || len(b.beside) != 2*len(rows) {
		t.Fatalf("%d and %d rows for %d groups", len(b.ours), len(b.beside), len(rows))
	}
	if docs == "" {
		return
	}
	writePart(t, docs, "benchmarks", b.report())
	writePart(t, docs, "counts", countOurs(t)+"\n"+countJava(t))
}

// writePart replaces the part of a document that stands between the comments of its name.
func writePart(tb testing.TB, file, part, text string) {
	old, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	open, end := bytes.Index(old, []byte("<!-- "+part+":")), bytes.Index(old, []byte("<!-- end of "+part+" -->"))
	if open < 0 || end < open {
		tb.Fatalf("%s has no comments around its part %q", file, part)
	}
	from := open + bytes.IndexByte(old[open:], '\n') + 1
	if err := os.WriteFile(file, slices.Concat(old[:from], []byte("\n"+strings.TrimSpace(text)+"\n\n"), old[end:]), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// report is the part of the document with the times.
func (b *bench) report() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s.\n\n", machineLine())
	list := func(what, none string, cells []string) {
		if len(cells) == 0 {
			fmt.Fprintf(&s, "- %s: %s.\n", what, none)
			return
		}
		fmt.Fprintf(&s, "- %s:\n", what)
		for _, c := range cells {
			fmt.Fprintf(&s, "  - %s\n", c)
		}
	}
	fmt.Fprintf(&s, "What the run says, by medians:\n\n")
	fmt.Fprintf(&s, "- Equal subscriptions: from nothing at most %.1f times the floor; one join, one leave and growth at most %.1f times the floor with memory. At most %d allocations in any run.\n", b.worst, b.later, b.allocations)
	list("Runs with equal subscriptions beyond ten times the floor", "none", b.equal)
	list("One join slower than an assignment from nothing, by more than a twentieth", "nowhere", b.joins)
	list("Slower than Java's `uniform`", "nowhere", b.slower)
	list("Plans not shown to be optimal", "none. Of each run, the smallest sum of squared loads is met and no more partitions move than must", b.unproven)
	fmt.Fprintf(&s, "\nOurs, milliseconds: fastest / median / 99th percentile.\n\n")
	fmt.Fprintln(&s, "| subscriptions | members x partitions x topics | floor | with memory: join, leave, grow | with lists | full | one joins | one leaves | a topic grows | in floors: full, join, leave, grow | uniform full | uniform, one joins | MB | allocations: full, join, leave, grow |")
	fmt.Fprintln(&s, "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range b.ours {
		fmt.Fprintln(&s, r)
	}
	fmt.Fprintf(&s, "\nBeside Apache Kafka 4.3.1 and franz-go %s, milliseconds: fastest / median.\n\n", franzVersion(b))
	fmt.Fprintln(&s, "| subscriptions | members x partitions x topics | run | cooperative-sticky | Java's | uniform | Java's | leader | franz-go's |")
	fmt.Fprintln(&s, "|---|---|---|---|---|---|---|---|---|")
	for _, r := range b.beside {
		fmt.Fprintln(&s, r)
	}
	return s.String()
}

func machineLine() string {
	cpu := "an unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load average " + strings.Join(strings.Fields(string(text))[:2], " and ") + " at the end"
	}
	java, _ := exec.Command("java", "-version").CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(java)), "\n")
	return fmt.Sprintf("%s, %d CPUs%s; %s, %s", cpu, runtime.NumCPU(), load, runtime.Version(), first)
}

func franzVersion(tb testing.TB) string {
	mod, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "github.com/twmb/franz-go" {
			return f[1]
		}
	}
	return "of go.mod"
}
