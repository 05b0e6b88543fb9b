package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// lagRow is one line of `groups lag`: a group, one topic of it, or one partition.
type lagRow struct {
	At          string `json:"at,omitempty"` // with --watch
	Group       string `json:"group"`
	State       string `json:"state"`
	Topic       string `json:"topic,omitempty"`     // by topic and by partition
	Partition   *int32 `json:"partition,omitempty"` // by partition
	Partitions  int    `json:"partitions"`
	Members     int    `json:"members"` // that own one of the partitions
	Lag         *int64 `json:"lag"`     // null: nothing is committed
	MaxLag      *int64 `json:"max_lag"` // of one partition
	Uncommitted int    `json:"uncommitted,omitempty"`
	// With --watch, from the second round on; records per second since the round before.
	Consumed  *float64 `json:"consumed_per_second,omitempty"`
	Produced  *float64 `json:"produced_per_second,omitempty"`
	CatchUp   *float64 `json:"catch_up_seconds,omitempty"` // until the lag is gone at these rates; absent when it does not shrink
	Error     string   `json:"error,omitempty"`
	err       error
	committed map[lagKey]lagPlace
}

type lagKey struct {
	topic     string
	partition int32
}

// lagPlace is where one partition of a group stood in a round.
type lagPlace struct{ committed, end int64 }

type lagFlags struct {
	regex, watch bool
	by           string
	topics       []string
	least        int64
	interval     time.Duration
	rounds       int
}

func newGroupsLag(a *app) *cobra.Command {
	var l lagFlags
	c := &cobra.Command{
		Use:   "lag [GROUP...]",
		Short: "Show how far groups are behind, once or live",
		Long: `Show how far groups are behind, by topic, by group or by partition, largest lag first.

With --watch it goes on: on a terminal as a live screen (arrows scroll, g changes the grouping, s the order, q ends it), else as one
line per row and round, or with -o json as one JSON object per line. From the second round on there are rates: what was committed and
what was produced per second, and how long the lag lasts if they stay.`,
		Example: `  barnabas groups lag
  barnabas groups lag billing --by partition
  barnabas groups lag --watch --interval 5s
  barnabas groups lag 'billing-*' --min 1000 --watch -o json`,
		ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, scope, err := l.check(cmd, args, a.output)
			if err != nil {
				return err
			}
			if l.watch {
				return a.watchLag(cmd.Context(), &l, p, scope)
			}
			ctx, adm, done, err := a.admin(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			rows, err := a.lagRows(ctx, adm, &l, p, scope)
			if err != nil {
				return err
			}
			blame := func(r *lagRow) *fault { return a.blame(shownName(r.Group), r.Error, a.groupError(r.err, r.Group)) }
			return report(a, "groups", rows, blame, func(w io.Writer, _ bool) { lagTable(rows).draw(w, a.paint) })
		},
	}
	f := c.Flags()
	groupPatternFlag(c, &l.regex)
	f.BoolVarP(&l.watch, "watch", "w", false, "go on until interrupted")
	f.StringVar(&l.by, "by", "topic", "one line per `what`: group, topic or partition")
	f.StringArrayVar(&l.topics, "topic", nil, "only this `topic`, or topic:0,1,5-7; repeat for more")
	f.Int64Var(&l.least, "min", 0, "only rows with at least this `lag`")
	f.DurationVar(&l.interval, "interval", 2*time.Second, "with --watch, `time` from round to round")
	f.IntVar(&l.rounds, "rounds", 0, "with --watch, end after this `number` of rounds")
	must(c.RegisterFlagCompletionFunc("topic", a.completeTopics))
	must(c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(lagGroupings, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

var lagGroupings = []string{"group", "topic", "partition"}

func (l *lagFlags) check(cmd *cobra.Command, args []string, output string) (*groupPattern, []topicScope, error) {
	scope, err := parseTopicScope(l.topics)
	switch {
	case err != nil:
		return nil, nil, err
	case !slices.Contains(lagGroupings, l.by):
		return nil, nil, usage("--by "+l.by+" is not a grouping", "use group, topic or partition")
	case !l.watch && (cmd.Flags().Changed("interval") || cmd.Flags().Changed("rounds")):
		return nil, nil, usage("--interval and --rounds belong to --watch", "add --watch")
	case l.watch && l.interval < 100*time.Millisecond:
		return nil, nil, usage(fmt.Sprintf("--interval %s is too short", l.interval), "every round asks the whole cluster: take 100ms or more")
	case l.rounds < 0:
		return nil, nil, usage(fmt.Sprintf("--rounds %d is below 0", l.rounds), "0 goes on until interrupted")
	case l.watch && output == "yaml":
		return nil, nil, usage("--watch has no end, so it has no YAML", "use -o json, which is one object per line")
	}
	p, err := newGroupPattern(args, l.regex)
	return p, scope, err
}

// lagRows reads one round. Groups that vanish between two requests are left out.
func (a *app) lagRows(ctx context.Context, adm *adminClient, l *lagFlags, p *groupPattern, scope []topicScope) ([]lagRow, error) {
	listed, err := a.matchGroups(ctx, adm, p, p.wild() || l.watch)
	if err != nil {
		return nil, err
	}
	listed = slices.DeleteFunc(listed, func(g listedGroup) bool { return g.Type == "share" }) // no committed offsets, so no lag of this kind
	groups, err := a.readGroups(ctx, adm, listed, readWhat{members: true, offsets: true})
	if err != nil {
		return nil, err
	}
	rows := []lagRow{}
	for _, g := range groups {
		rows = append(rows, lagOf(g, l.by, scope)...)
	}
	if l.least > 0 {
		rows = slices.DeleteFunc(rows, func(r lagRow) bool { return r.err == nil && (r.Lag == nil || *r.Lag < l.least) })
	}
	sortLag(rows, false)
	return rows, nil
}

// lagOf sums one group up by the grouping.
func lagOf(g *groupDescription, by string, scope []topicScope) []lagRow {
	if g.err != nil {
		return []lagRow{{Group: g.Group, State: g.State, Error: g.Error, err: g.err}}
	}
	var rows []lagRow
	owners := map[string]bool{}
	for i := range g.Partitions {
		p := &g.Partitions[i]
		if !inScope(scope, p.Topic, p.Partition) {
			continue
		}
		again := i > 0 && g.Partitions[i-1].Topic == p.Topic && g.Partitions[i-1].Partition == p.Partition // a second owner
		// Partitions come in the order of topic and number, so a row to add to is always the last one.
		n := len(rows) - 1
		if n < 0 || by != "group" && rows[n].Topic != p.Topic || by == "partition" && *rows[n].Partition != p.Partition {
			r := lagRow{Group: g.Group, State: g.State, committed: map[lagKey]lagPlace{}}
			if by != "group" {
				r.Topic = p.Topic
			}
			if by == "partition" {
				r.Partition = &p.Partition
			}
			rows, n = append(rows, r), n+1
			clear(owners)
		}
		r := &rows[n]
		if p.MemberID != nil && !owners[*p.MemberID] {
			owners[*p.MemberID] = true
			r.Members++
		}
		if again {
			continue
		}
		r.Partitions++
		r.Error = cmp.Or(r.Error, p.Error)
		switch {
		case p.Lag != nil:
			sum, most := max(0, *p.Lag), max(0, *p.Lag)
			if r.Lag != nil {
				sum, most = sum+*r.Lag, max(most, *r.MaxLag)
			}
			r.Lag, r.MaxLag = &sum, &most
			r.committed[lagKey{p.Topic, p.Partition}] = lagPlace{*p.Committed, *p.End}
		case p.MemberID != nil && p.Committed == nil:
			r.Uncommitted++
		}
	}
	return rows
}

// sortLag puts the largest lag first, or the names in order; what is not known comes last.
func sortLag(rows []lagRow, byName bool) {
	key := func(r *lagRow) int64 {
		if r.Lag == nil {
			return -1
		}
		return *r.Lag
	}
	number := func(r *lagRow) int32 {
		if r.Partition == nil {
			return -1
		}
		return *r.Partition
	}
	slices.SortFunc(rows, func(x, y lagRow) int {
		names := cmp.Or(compareStrings(x.Group, y.Group), compareStrings(x.Topic, y.Topic), cmp.Compare(number(&x), number(&y)))
		if byName {
			return names
		}
		return cmp.Or(cmp.Compare(key(&y), key(&x)), names)
	})
}

// addRates compares a round with the one before. Only partitions that are in both count, so that a new one is not a burst.
func addRates(now, before []lagRow, elapsed time.Duration) {
	type rowKey struct {
		group, topic string
		partition    int32
	}
	keyOf := func(r *lagRow) rowKey {
		k := rowKey{r.Group, r.Topic, -1}
		if r.Partition != nil {
			k.partition = *r.Partition
		}
		return k
	}
	old := map[rowKey]*lagRow{}
	for i := range before {
		old[keyOf(&before[i])] = &before[i]
	}
	if elapsed <= 0 {
		return
	}
	for i := range now {
		r := &now[i]
		was := old[keyOf(r)]
		if was == nil || r.Lag == nil {
			continue
		}
		var committed, produced int64
		common := 0
		for k, place := range r.committed { // any order: a sum
			if p, ok := was.committed[k]; ok {
				common++
				committed += place.committed - p.committed
				produced += place.end - p.end
			}
		}
		if common == 0 {
			continue
		}
		c, p := float64(committed)/elapsed.Seconds(), float64(produced)/elapsed.Seconds()
		r.Consumed, r.Produced = &c, &p
		if shrinks := c - p; *r.Lag > 0 && shrinks > 0 {
			s := float64(*r.Lag) / shrinks
			r.CatchUp = &s
		}
	}
}

func lagTable(rows []lagRow) *table {
	t := newTable("GROUP", "TOPIC", ">PARTITION", ">LAG", ">MAX LAG", ">UNCOMMITTED", ">CONSUMED/S", ">PRODUCED/S", ">CATCHES UP IN", ">PARTITIONS", ">MEMBERS", "STATE", "ERROR")
	for _, r := range rows {
		var partition, partitions, consumed, produced, catchUp any
		if r.Partition != nil {
			partition = *r.Partition
		} else {
			partitions = r.Partitions
		}
		if r.Consumed != nil {
			consumed, produced = rate(*r.Consumed), rate(*r.Produced)
		}
		if r.CatchUp != nil {
			catchUp = shortDuration(*r.CatchUp)
		}
		most := r.MaxLag
		if r.Partitions < 2 {
			most = nil
		}
		t.row(shownGroup(r.Group), r.Topic, partition, r.Lag, most, orNil(r.Uncommitted), consumed, produced, catchUp, partitions, r.Members, r.State, r.Error)
	}
	t.dropEmptyColumns("STATE", "LAG")
	return t
}

func rate(perSecond float64) string {
	if perSecond > -100 && perSecond < 100 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return humanCount(int64(perSecond))
}

// shortDuration rounds to what a person wants to know: 4s, 2m30s, 3h5m, 12d.
func shortDuration(seconds float64) string {
	switch {
	case seconds < 60:
		return strconv.Itoa(int(seconds+0.5)) + "s"
	case seconds < 3600:
		return fmt.Sprintf("%dm%02ds", int(seconds)/60, int(seconds)%60)
	case seconds < 48*3600:
		return fmt.Sprintf("%dh%02dm", int(seconds)/3600, int(seconds)/60%60)
	case seconds < 365*24*3600:
		return fmt.Sprintf("%dd", int(seconds)/86400)
	}
	return "more than a year"
}

// lagRound is one round of --watch.
type lagRound struct {
	at   time.Time
	rows []lagRow
	err  error
}

// watchLag runs rounds until ctx ends, which is how a watch is meant to end.
func (a *app) watchLag(ctx context.Context, l *lagFlags, p *groupPattern, scope []topicScope) error {
	cl, err := a.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := &adminClient{Client: kadm.NewClient(cl), wire: cl}
	adm.SetTimeoutMillis(int32(a.apiTimeout() / time.Millisecond))
	// A name that is wrong is an error at once; a group that goes, or comes back, while it is watched is not.
	if _, err := a.matchGroups(ctx, adm, p, p.wild()); err != nil {
		return err
	}
	var before lagRound
	read := func(ctx context.Context, by string) lagRound {
		ctx, cancel := context.WithTimeout(ctx, a.apiTimeout())
		defer cancel()
		as := *l
		as.by = by
		round := lagRound{at: a.now()}
		if round.rows, round.err = a.lagRows(ctx, adm, &as, p, scope); round.err == nil {
			addRates(round.rows, before.rows, round.at.Sub(before.at))
			before = round
		}
		return round
	}
	if a.outTTY && a.output == "table" {
		return a.liveLag(ctx, l, read)
	}
	tick := time.NewTicker(l.interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		round := read(ctx, l.by)
		if ctx.Err() != nil {
			return nil
		}
		if round.err != nil {
			a.warn("%s", a.explain(round.err).what)
		}
		if err := a.printRound(round); err != nil {
			return err
		}
		if n == l.rounds {
			return round.err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// printRound writes one line per row: name=value pairs, or JSON.
func (a *app) printRound(round lagRound) error {
	var b strings.Builder
	at := round.at.UTC().Format("2006-01-02T15:04:05.000Z")
	for _, r := range round.rows {
		if a.output == "json" {
			r.At = at
			j, err := json.Marshal(r)
			if err != nil {
				return wrap(err, "encoding the answer")
			}
			b.Write(escapeJSON(j))
			b.WriteByte('\n')
			continue
		}
		b.WriteString(at)
		pair := func(name, value string) {
			if value == "" || printable(value) != value || strings.ContainsAny(value, " =\"") {
				value = strconv.Quote(value)
			}
			b.WriteString(" " + name + "=" + value)
		}
		pair("group", r.Group)
		if r.State != "" {
			pair("state", r.State)
		}
		if r.Topic != "" {
			pair("topic", r.Topic)
		}
		if r.Partition != nil {
			pair("partition", strconv.Itoa(int(*r.Partition)))
		}
		if r.Lag != nil {
			pair("lag", strconv.FormatInt(*r.Lag, 10))
		}
		if r.Uncommitted > 0 {
			pair("uncommitted", strconv.Itoa(r.Uncommitted))
		}
		if r.Consumed != nil {
			pair("consumed", strconv.FormatFloat(*r.Consumed, 'f', 1, 64)+"/s")
			pair("produced", strconv.FormatFloat(*r.Produced, 'f', 1, 64)+"/s")
		}
		if r.CatchUp != nil {
			pair("catches_up_in", shortDuration(*r.CatchUp))
		}
		if r.Error != "" {
			pair("error", r.Error)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}
