package sim

import (
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Result is what a run has cost, from time zero on.
type Result struct {
	Seed  uint64        `json:"seed"`
	Hash  string        `json:"trace_hash"`
	Time  time.Duration `json:"-"` // simulated
	Secs  float64       `json:"simulated_seconds"`
	Whole bool          `json:"whole"`

	Rebalances int64 `json:"rebalances"`
	// Moved partitions went from a member that was there to another; orphans had lost theirs. MovedMin is the least that any balanced plan
	// had to move.
	Moved    int64 `json:"moved"`
	Orphans  int64 `json:"orphans_placed"`
	MovedMin int64 `json:"moved_min"`
	Evicted  int64 `json:"evicted"`

	// Paused is the time in which partitions were read by nobody, of all of them together.
	Paused        time.Duration `json:"-"`
	PauseMax      time.Duration `json:"-"`
	PauseMaxOf    string        `json:"pause_max_of,omitempty"`
	Pauses        int64         `json:"pauses"`
	PauseLengths  []Pauses      `json:"pause_lengths,omitempty"`
	AllStopped    time.Duration `json:"-"` // no partition was read
	Fenced        time.Duration `json:"-"` // read by members that had been put out, whether or not the owner read it too
	Unsettled     time.Duration `json:"-"` // from the first disturbance until everybody has what is theirs, all together
	LongestSettle time.Duration `json:"-"`

	Records     int64 `json:"records"`
	Committed   int64 `json:"committed"`
	Duplicates  int64 `json:"duplicates"`
	Redelivered int64 `json:"redeliveries"`
	SharedKeys  int64 `json:"keys_of_several_members"`
	Inversions  int64 `json:"order_inversions"`
	LagPeak     int64 `json:"lag_peak"`       // of one partition
	LagTotal    int64 `json:"lag_peak_group"` // of all, at a sample or when a disturbance ended
	LagEnd      int64 `json:"lag_end"`
	Delayed     int64 `json:"records_delayed"` // came while nobody read their partition
	Refused     int64 `json:"requests_refused"`

	// LoadMax and LoadMin are the most and the fewest partitions that a member has at the end.
	LoadMax int64 `json:"load_max"`
	LoadMin int64 `json:"load_min"`

	Messages []Count    `json:"messages"`
	Bytes    int64      `json:"message_bytes"` // of all messages, as the Java client writes them
	Loads    []Standing `json:"members"`
	// Unmet is what events waited for, and nobody did.
	Unmet    []string  `json:"events_that_never_came,omitempty"`
	Recorded *Recorded `json:"-"`
}

// Count is how often a request was sent to the coordinator.
type Count struct {
	API string `json:"api"`
	N   int64  `json:"n"`
}

// Pauses is how many pauses of partitions were shorter than so many milliseconds, and not shorter than half of that.
type Pauses struct {
	Below int64 `json:"below_ms"`
	N     int64 `json:"n"`
}

// Standing is what a member has at the end.
type Standing struct {
	Member     string `json:"member"`
	Up         bool   `json:"up"`
	Partitions int    `json:"partitions"`
	Records    int64  `json:"records"`
	Gone       string `json:"gave_up,omitempty"`
}

// Sent is all requests to the coordinator.
func (r *Result) Sent() (n int64) {
	for _, c := range r.Messages {
		n += c.N
	}
	return n
}

func (w *world) result() *Result {
	m := &w.m
	r := &Result{Seed: w.opt.Seed, Hash: fmt.Sprintf("%016x", w.hash), Time: time.Duration(w.now - w.zero), Secs: float64(w.now-w.zero) / 1e9, Whole: !w.over,
		Rebalances: m.rebalances, Moved: m.moved, Orphans: m.orphans, MovedMin: m.movedMin, Evicted: m.evicted,
		PauseMax: m.pauseMax, Pauses: m.pauses, AllStopped: m.allStopped, Unsettled: m.unsettled, LongestSettle: m.longest,
		Records: m.records, Duplicates: m.duplicates, Redelivered: m.redelivered, Inversions: m.inversions,
		LagPeak: m.lagMost, LagTotal: m.lagTotal, Delayed: m.delayed, Refused: m.refused}
	for _, p := range w.parts {
		r.Paused += p.spent[nobody]
		r.Fenced += p.misread.spent
		r.SharedKeys += p.keyed.count
		r.LagEnd += p.lag(w.now)
		r.Committed += p.committed - p.committedBefore
	}
	for i, n := range m.histogram {
		if n > 0 {
			r.PauseLengths = append(r.PauseLengths, Pauses{1 << i, n})
		}
	}
	if p := m.pausedMost; p != nil {
		r.PauseMaxOf = w.partitionName(p)
	}
	for a := range apiCount {
		r.Messages = append(r.Messages, Count{apiNames[a], w.coord.messages[a] - m.before[a]})
	}
	r.Bytes = w.coord.bytes - m.sentBefore
	r.LoadMin = -1
	for _, c := range w.members {
		if n := int64(len(c.holds)); c.up {
			r.LoadMax = max(r.LoadMax, n)
			if r.LoadMin < 0 || n < r.LoadMin {
				r.LoadMin = n
			}
		}
		r.Loads = append(r.Loads, Standing{Member: c.name, Up: c.up, Partitions: len(c.holds), Records: c.records, Gone: c.fatal})
	}
	r.LoadMin = max(r.LoadMin, 0)
	for _, h := range w.hooks {
		r.Unmet = append(r.Unmet, h.who+" "+h.what)
	}
	r.Recorded = m.rec.done(w)
	return r
}

func (w *world) partitionName(p *partition) string {
	return kafka.TopicPartition{Topic: w.topics[p.topic].name, Partition: p.number}.String()
}
