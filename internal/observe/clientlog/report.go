package clientlog

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// Given is what a person adds to the logs. Nothing in it is required.
type Given struct {
	// Group leaves all other groups out; "" takes every group.
	Group string
	// Config is settings of the client, by Kafka's names. A setting that is not in it has its default, if Config holds anything at all.
	Config map[string]string
	// RecordTime is how long the application takes for one record; 0 if nobody said.
	RecordTime time.Duration
}

// Report is what the logs tell.
type Report struct {
	Sources []Source `json:"sources"`
	// Undated says that some lines carry no date: such moments are put on 1 January 1970.
	Undated bool `json:"undated,omitempty"`
	// Dropped counts events that were read and forgotten, the oldest first, to bound memory.
	Dropped int         `json:"dropped,omitempty"`
	Members []Member    `json:"members"`
	Stories []Rebalance `json:"rebalances"`
}

// Member is one consumer in the logs.
type Member struct {
	Name     string            `json:"name"`
	Client   Client            `json:"client"`
	Group    string            `json:"group,omitempty"`
	Source   string            `json:"source"`
	IDs      []string          `json:"member_ids,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

// Rebalance is one rebalance as the logs show it.
type Rebalance struct {
	journal.Incident
	// Sure is the verdict's confidence in a word for people.
	Sure string `json:"sure"`
	// Lines are those that carry the story.
	Lines []Line `json:"lines"`
	// Numbers are the values that the arithmetic used, and where each is from.
	Numbers []Number `json:"numbers,omitempty"`
	// Cautions are cures in circulation that do nothing here, or lose data.
	Cautions []string `json:"cautions,omitempty"`
	// Told is the story: what happened, in sentences.
	Told []string `json:"told"`
}

// Line is a line of a log.
type Line struct {
	Where  string `json:"where"` // "file:line"
	Time   string `json:"time,omitempty"`
	Member string `json:"member,omitempty"`
	Text   string `json:"text"`
}

// Number is a value and its origin.
type Number struct {
	Name string `json:"name"`
	// Value is in Unit.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	From  string  `json:"from"` // "file:line", "given", "default", "computed"
}

// Report tells what the logs hold. It may be called once all logs are added.
func (l *Log) Report(g Given) *Report {
	r := &Report{Sources: slices.Clone(l.sources), Dropped: l.dropped, Members: []Member{}, Stories: []Rebalance{}}
	members := l.join()
	line := l.timeline()
	for i := range l.sources {
		if s := &l.sources[i]; s.Understood > 0 && s.clock < dated {
			r.Undated = true
		}
	}
	for _, m := range members {
		out := Member{Name: m.name(), Client: m.client, Group: m.group, Source: l.sources[m.file].Name, IDs: m.ids}
		for name, s := range m.settings { // any order: it goes into a map
			if out.Settings == nil {
				out.Settings = map[string]string{}
			}
			out.Settings[name] = s.value
		}
		if g.Group == "" || m.group == g.Group {
			r.Members = append(r.Members, out)
		}
	}
	t := newTeller(l, g, members, line)
	for _, ep := range l.episodes(line, g.Group) {
		if story, ok := t.tell(ep); ok {
			r.Stories = append(r.Stories, story)
		}
	}
	return r
}

func newTeller(l *Log, g Given, members []*member, line []*Event) *teller {
	t := &teller{log: l, given: g, storyOf: map[*Event]string{}, causeOf: map[*Event]journal.Cause{}, lastGen: map[string]int32{},
		groups: map[string][]*member{}, starts: map[clientKey][]*Event{}, leaves: map[clientKey][]*Event{}, partitions: map[string]int32{}}
	for _, m := range members {
		if len(t.groups[m.group]) < 256 {
			t.groups[m.group] = append(t.groups[m.group], m)
		}
	}
	for _, e := range line {
		k := clientKey{e.Group, e.member.clientID}
		switch e.Kind {
		case Starting:
			t.starts[k] = append(t.starts[k], e)
		case Leaving:
			t.leaves[k] = append(t.leaves[k], e)
		}
		for _, tp := range e.Partitions {
			if high := tp.Partitions[len(tp.Partitions)-1]; high > t.partitions[tp.Topic] {
				t.partitions[tp.Topic] = high
			}
		}
	}
	return t
}

// where is "file:line".
func (l *Log) where(e *Event) string {
	return l.sources[e.file].Name + ":" + strconv.Itoa(e.line)
}

func (l *Log) lineOf(e *Event) Line {
	return Line{Where: l.where(e), Time: e.moment.text, Member: e.member.name(), Text: e.Text}
}

// clockText is a moment as people read it in a story: the time of day, as the log has it if it has no more.
func clockText(m moment) string {
	if m.clock == noClock {
		return ""
	}
	return m.at.Time().Format("15:04:05.000")
}

// partitionText is "fans-push 0-9", "t 0, 2 and u 1".
func partitionText(list []journal.TopicPartitions) string {
	var parts []string
	for _, tp := range list {
		var runs []string
		for i := 0; i < len(tp.Partitions); {
			j := i
			for j+1 < len(tp.Partitions) && tp.Partitions[j+1] == tp.Partitions[j]+1 {
				j++
			}
			switch first, last := strconv.Itoa(int(tp.Partitions[i])), strconv.Itoa(int(tp.Partitions[j])); {
			case j == i:
				runs = append(runs, first)
			case j == i+1:
				runs = append(runs, first, last)
			default:
				runs = append(runs, first+"-"+last)
			}
			i = j + 1
			if len(runs) > 20 {
				runs = append(runs, "...")
				break
			}
		}
		parts = append(parts, tp.Topic+" "+strings.Join(runs, ", "))
		if len(parts) == 10 && len(list) > 10 {
			parts = append(parts, strconv.Itoa(len(list)-10)+" more topics")
			break
		}
	}
	return strings.Join(parts, " and ")
}

func countOf(n int, one string) string {
	if n == 1 {
		return "one " + one
	}
	words := []string{"no", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	if n >= 0 && n < len(words) {
		return words[n] + " " + one + "s"
	}
	return grouped(int64(n)) + " " + one + "s"
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// grouped is 300,000.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func first[T comparable](vs ...T) T { return cmp.Or(vs...) }
