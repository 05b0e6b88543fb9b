// Package vtime is time as the cores see it: an Instant that is handed in, never read from a clock.
package vtime

import (
	"math"
	"time"
)

// Instant is a moment in nanoseconds since the Unix epoch. The zero value is the epoch.
type Instant int64

// FromTime is t as an Instant; shells call it at their edge.
func FromTime(t time.Time) Instant { return Instant(t.UnixNano()) }

// FromMillis reads Kafka's unit.
func FromMillis(ms int64) Instant { return Instant(ms * int64(time.Millisecond)) }

// Millis is the instant in Kafka's unit, rounded down.
func (i Instant) Millis() int64 { return int64(i) / int64(time.Millisecond) }

// Add moves the instant by d; beyond the last instant there is none.
func (i Instant) Add(d time.Duration) Instant {
	if sum := i + Instant(d); d < 0 || sum >= i {
		return sum
	}
	return math.MaxInt64
}

// Since is the time that has passed from earlier to i: i.Since(earlier). It is never negative; a clock that went back counts as zero.
func (i Instant) Since(earlier Instant) time.Duration { return max(0, time.Duration(i-earlier)) }

// Before reports whether i lies before o.
func (i Instant) Before(o Instant) bool { return i < o }

// Time is the instant for people.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }
