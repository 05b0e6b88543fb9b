package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// offsetChange is one line of a plan to move offsets: what reset-offsets and import show and carry out.
type offsetChange struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Current   *int64 `json:"current_offset,omitempty"` // absent: nothing is committed
	New       int64  `json:"new_offset"`
	Lag       int64  `json:"lag"` // records between the new offset and the end
	Note      string `json:"note,omitempty"`
	Status    string `json:"status"` // planned, set or failed
	Error     string `json:"error,omitempty"`
	metadata  string
	err       error
}

// target is the place that offsets are reset to, in the words of the flags.
type target struct {
	kind   targetKind
	offset int64  // toOffset, shiftBy
	millis int64  // toTime
	words  string // the flag as given, for errors and for the head of the plan
}

type targetKind int8

const (
	toEarliest targetKind = iota + 1
	toLatest
	toCurrent
	toOffset
	shiftBy
	toTime
)

// errNothingCommitted is why shiftBy cannot work.
var errNothingCommitted = errors.New("nothing is committed, so there is nothing to shift")

// newOffset is where t puts one partition: the log holds [start, end); byTime is the first offset at or after t.millis, negative if no
// record is that late. What lies outside of the log goes to its nearest edge, as Kafka's tool does, and the note says so.
func (t target) newOffset(current *int64, start, end, byTime int64) (offset int64, note string, err error) {
	switch t.kind {
	case toEarliest:
		return start, "", nil
	case toLatest:
		return end, "", nil
	case toCurrent:
		if current == nil {
			return end, "nothing was committed: the end", nil
		}
		return *current, "", nil
	case toTime:
		if byTime < 0 {
			return end, "no record is that late: the end", nil
		}
		return byTime, "", nil
	case toOffset:
		offset = t.offset
	case shiftBy:
		if current == nil {
			return 0, "", errNothingCommitted
		}
		offset = *current + t.offset
		if t.offset > 0 && offset < *current {
			offset = math.MaxInt64
		}
	}
	return clampOffset(offset, start, end)
}

func clampOffset(offset, start, end int64) (int64, string, error) {
	switch {
	case offset > end:
		return end, fmt.Sprintf("%d is beyond the end", offset), nil
	case offset < start:
		return start, fmt.Sprintf("%d is before the start", offset), nil
	}
	return offset, "", nil
}

// topicScope is --topic t or t:0,1 or t:0-3: all partitions when there are none.
type topicScope struct {
	topic      string
	partitions []int32
}

// parseTopicScope reads the values of --topic. A topic name cannot hold a ':', so the first one ends it.
func parseTopicScope(list []string) ([]topicScope, error) {
	var out []topicScope
	for _, s := range list {
		topic, parts, some := strings.Cut(s, ":")
		if topic == "" || some && parts == "" {
			return nil, usage(fmt.Sprintf("--topic %q: not a topic, nor a topic with partitions", s), "write --topic orders, or --topic orders:0,1,5-7")
		}
		p, err := parsePartitions(parts)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out, func(t topicScope) bool { return t.topic == topic })
		switch {
		case i < 0:
			out = append(out, topicScope{topic, p})
		case p == nil || out[i].partitions == nil:
			out[i].partitions = nil
		default:
			p = append(out[i].partitions, p...)
			slices.Sort(p)
			out[i].partitions = slices.Compact(p)
		}
	}
	return out, nil
}

// partitionsIn are the partitions of the scope that exist, or an error that names one that does not.
func (s topicScope) partitionsIn(b bounds) ([]int32, error) {
	var all []int32
	for p := range b.end[s.topic] { // any order: sorted below
		if p >= 0 {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		if whole, ok := b.end.Lookup(s.topic, -1); ok && whole.Err != nil && !isUnknownTopic(whole.Err) {
			return nil, wrap(whole.Err, "topic %s", s.topic)
		}
		return nil, noTopic(s.topic)
	}
	if s.partitions == nil {
		return all, nil
	}
	for _, p := range s.partitions {
		if _, ok := slices.BinarySearch(all, p); !ok {
			return nil, failed(fmt.Sprintf("%s has no partition %d", s.topic, p), fmt.Sprintf("its partitions are 0 to %d", len(all)-1))
		}
	}
	return s.partitions, nil
}

// parseISODuration reads PnDTnHnMn.nS, with weeks, as java.time.Duration and ISO 8601 write it. Other texts go to parseDuration: 1d12h.
func parseISODuration(s string) (time.Duration, error) {
	body, ok := strings.CutPrefix(strings.ToUpper(s), "P")
	if !ok {
		return parseDuration(s)
	}
	bad := fmt.Errorf("%q is not a duration", s)
	day, clock, hasClock := strings.Cut(body, "T")
	if body == "" || hasClock && clock == "" {
		return 0, bad
	}
	var sum float64
	take := func(text, units string, size []time.Duration) bool {
		from := 0
		for text != "" {
			n := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
			if n <= 0 {
				return false
			}
			u := strings.IndexByte(units[from:], text[n])
			f, err := strconv.ParseFloat(text[:n], 64)
			if u < 0 || err != nil || strings.Contains(text[:n], ".") && text[n] != 'S' {
				return false
			}
			sum += f * float64(size[from+u])
			from, text = from+u+1, text[n+1:]
		}
		return true
	}
	if !take(day, "WD", []time.Duration{7 * 24 * time.Hour, 24 * time.Hour}) ||
		!take(clock, "HMS", []time.Duration{time.Hour, time.Minute, time.Second}) || sum > float64(200*365*24*time.Hour) {
		return 0, bad
	}
	return time.Duration(sum), nil
}

// commitBatch is how many partitions one OffsetCommit carries: a coordinator writes a request as one batch, which a log bounds (1 MB in
// Kafka's defaults).
const commitBatch = 2000

// carryOut commits the planned changes. Each change ends as set or failed; the error is that of a cluster that does not answer at all.
func (a *app) carryOut(ctx context.Context, adm *adminClient, changes []offsetChange) error {
	byGroup := map[string][]*offsetChange{}
	var order []string
	for i := range changes {
		c := &changes[i]
		if c.err != nil {
			continue
		}
		if byGroup[c.Group] == nil {
			order = append(order, c.Group)
		}
		byGroup[c.Group] = append(byGroup[c.Group], c)
	}
	for _, group := range order {
		for part := range slices.Chunk(byGroup[group], commitBatch) {
			var os kadm.Offsets
			for _, c := range part {
				os.Add(kadm.Offset{Topic: c.Topic, Partition: c.Partition, At: c.New, LeaderEpoch: -1, Metadata: c.metadata})
			}
			got, err := adm.CommitOffsets(ctx, group, os)
			for _, c := range part {
				failure := err
				if err == nil {
					r, ok := got.Lookup(c.Topic, c.Partition)
					if failure = r.Err; !ok {
						failure = errors.New("the broker did not answer for this partition")
					}
				}
				c.Status = "set"
				if failure != nil {
					c.fail(a.groupError(failure, group))
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

func (c *offsetChange) fail(err error) {
	c.Status, c.Error, c.err = "failed", err.Error(), err
}

// finishPlan carries the changes out if it is to, prints them, and is the command's end.
func (a *app) finishPlan(ctx context.Context, adm *adminClient, changes []offsetChange, execute bool) error {
	for i := range changes {
		changes[i].Status = "planned"
	}
	if execute {
		if err := a.carryOut(ctx, adm, changes); err != nil {
			return err
		}
	}
	blame := func(c *offsetChange) *fault {
		return a.blame(shownName(c.Group)+", "+partitionName(c.Topic, c.Partition), c.Error, c.err)
	}
	err := report(a, "partitions", changes, blame, func(w io.Writer, _ bool) {
		t := newTable("GROUP", "TOPIC", ">PARTITION", ">CURRENT", ">NEW", ">MOVE", ">LAG", "NOTE", "STATUS", "ERROR")
		for _, c := range changes {
			var move, status any
			if c.Current != nil {
				move = "0"
				if d := c.New - *c.Current; d != 0 {
					move = fmt.Sprintf("%+d", d)
				}
			}
			if execute {
				status = c.Status
			}
			t.row(shownGroup(c.Group), c.Topic, c.Partition, c.Current, c.New, move, c.Lag, c.Note, status, c.Error)
		}
		t.dropEmptyColumns("CURRENT", "NEW", "MOVE")
		t.draw(w, a.paint)
	})
	if !execute && len(changes) > 0 {
		fmt.Fprintln(a.err, "nothing was changed: this is the plan; pass --execute to carry it out")
	}
	return err
}
