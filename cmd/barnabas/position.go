package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// position is a place in every partition, in the words of --from, --to, --before and --time:
//
//	start          the first record kept
//	end            behind the last record
//	12345          that offset
//	-5             five records before the end (consume) of each partition
//	@-1h30m        the first record of the last hour and a half (units ms, s, m, h, d)
//	@2026-01-31    a date, @2026-01-31T15:04, @2026-01-31T15:04:05Z a time; without a zone it is local time
//	@1700000000000 milliseconds since 1970
type position struct {
	kind   positionKind
	offset int64 // atOffset, beforeEnd
	millis int64 // atTime
}

type positionKind int8

const (
	atStart positionKind = iota
	atEnd
	atOffset
	beforeEnd
	atTime
)

const positionHelp = `start, end, an offset, -N (N records before the end), or a time: @-1h (units ms, s, m, h, d), @2026-01-31, @2026-01-31T15:04:05Z
or @1700000000000 (milliseconds since 1970). Dates and times without a zone are local.`

func parsePosition(flag, s string, now time.Time) (position, error) {
	bad := func(why string) error {
		return usage(fmt.Sprintf("--%s %q: %s", flag, s, why), "use start, end, an offset, -N, @-1h, @2026-01-31T15:04:05Z or @MILLISECONDS")
	}
	switch {
	case s == "start" || s == "earliest" || s == "beginning":
		return position{kind: atStart}, nil
	case s == "end" || s == "latest":
		return position{kind: atEnd}, nil
	case strings.HasPrefix(s, "@"):
		ms, err := parseMoment(s[1:], now)
		if err != nil {
			return position{}, bad(err.Error())
		}
		return position{kind: atTime, millis: max(0, ms)}, nil // below 0 are the protocol's own signs
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n == math.MinInt64:
		return position{}, bad("neither an offset nor a place")
	case n < 0:
		return position{kind: beforeEnd, offset: -n}, nil
	}
	return position{kind: atOffset, offset: n}, nil
}

// parseMoment reads a time: relative to now when it begins with '-', milliseconds when it is a number, else a date.
func parseMoment(s string, now time.Time) (int64, error) {
	if s == "now" {
		return now.UnixMilli(), nil
	}
	if ago, ok := strings.CutPrefix(s, "-"); ok {
		d, err := parseDuration(ago)
		if err != nil {
			return 0, err
		}
		return now.Add(-d).UnixMilli(), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("%q is not a time", s)
}

// parseDuration is time.ParseDuration with days in front: 1d12h.
func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	rest := s
	if head, tail, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		days, rest = time.Duration(n)*24*time.Hour, tail
	}
	if rest == "" && s != "" {
		return days, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || days+d < 0 {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	return days + d, nil
}

// bounds are the first and the next offset of every partition asked about.
type bounds struct{ start, end kadm.ListedOffsets }

// resolve finds the offset of p in each partition that start lists. Offsets outside the log are moved to its nearest edge;
// a time later than the last record is the end. With committed, the end is the last stable offset.
func (p position) resolve(ctx context.Context, adm *adminClient, b bounds, topics []string) (map[string]map[int32]int64, error) {
	var timed kadm.ListedOffsets
	if p.kind == atTime {
		var err error
		if timed, err = adm.ListOffsetsAfterMilli(ctx, p.millis, topics...); err != nil {
			return nil, wrap(err, "looking up offsets by time")
		}
	}
	out := map[string]map[int32]int64{}
	for topic, parts := range b.start {
		out[topic] = map[int32]int64{}
		for n, lo := range parts {
			hi, ok := b.end.Lookup(topic, n)
			switch {
			case lo.Err != nil:
				return nil, wrap(lo.Err, "start offset of %s-%d", topic, n)
			case !ok:
				return nil, failed(fmt.Sprintf("the broker names no end offset of %s-%d", topic, n), "try again")
			case hi.Err != nil:
				return nil, wrap(hi.Err, "end offset of %s-%d", topic, n)
			}
			var at int64
			switch p.kind {
			case atStart:
				at = lo.Offset
			case atEnd:
				at = hi.Offset
			case atOffset:
				at = p.offset
			case beforeEnd:
				at = hi.Offset - p.offset
			case atTime:
				o, ok := timed.Lookup(topic, n)
				if !ok {
					return nil, failed(fmt.Sprintf("the broker names no offset by time of %s-%d", topic, n), "try again")
				}
				if o.Err != nil {
					return nil, wrap(o.Err, "offset by time of %s-%d", topic, n)
				}
				at = o.Offset
				if at < 0 {
					at = hi.Offset
				}
			}
			out[topic][n] = max(lo.Offset, min(at, hi.Offset))
		}
	}
	return out, nil
}

// listBounds asks for start and end offsets; with committed, the end is what a read_committed consumer sees.
func listBounds(ctx context.Context, adm *adminClient, committed bool, topics []string) (bounds, error) {
	start, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return bounds{}, wrap(err, "asking for start offsets")
	}
	list := adm.ListEndOffsets
	if committed {
		list = adm.ListCommittedOffsets
	}
	end, err := list(ctx, topics...)
	return bounds{start, end}, wrap(err, "asking for end offsets")
}
