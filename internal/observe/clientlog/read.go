package clientlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxLine   = 64 << 10 // of a longer line, the beginning is read and the rest passed over
	maxEvents = 200_000  // of all sources together; the oldest half goes when there are more
)

// Log gathers the events of one or several logs. The zero value is ready.
type Log struct {
	sources []Source
	events  []Event
	dropped int // events that made room for later ones
}

// Source is one log as it was read.
type Source struct {
	Name string `json:"name"`
	// Lines counts what was read, Understood the lines that say something about a group, Cut those that were longer than is read.
	Lines      int `json:"lines"`
	Understood int `json:"understood"`
	Cut        int `json:"cut,omitempty"`
	// Broken says why reading ended before the end, "" if it did not: a damaged gzip, say.
	Broken string `json:"broken,omitempty"`
	clock  clock
	last   moment // of its last line that has a time
}

// Add reads one log to its end. name is what the source is called in evidence. A log that breaks off is used as far as it goes, and the error
// says so; Report says it again.
func (l *Log) Add(name string, r io.Reader) error {
	i := len(l.sources)
	l.sources = append(l.sources, Source{Name: name})
	src := &l.sources[i]
	br := bufio.NewReaderSize(r, maxLine)
	if head, _ := br.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(br)
		if err != nil {
			src.Broken = "not a readable gzip: " + err.Error()
			return fmt.Errorf("reading %s: %w", name, err)
		}
		defer z.Close()
		br = bufio.NewReaderSize(z, maxLine)
	}
	p := parser{file: i}
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			src.Lines++
			text := strings.TrimRight(string(line), "\r\n")
			if errors.Is(err, bufio.ErrBufferFull) {
				src.Cut++
				err = discardLine(br)
			}
			if evs := p.line(src.Lines, text); len(evs) > 0 {
				src.Understood++
				l.take(evs)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			l.take(p.endBlock())
			src.Broken = "it breaks off: " + err.Error()
			src.clock, src.last = p.best, p.last
			return fmt.Errorf("reading %s: %w", name, err)
		}
	}
	l.take(p.endBlock())
	src.clock, src.last = p.best, p.last
	return nil
}

// discardLine passes over the rest of a line.
func discardLine(br *bufio.Reader) error {
	for {
		_, err := br.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (l *Log) take(evs []Event) {
	l.events = append(l.events, evs...)
	if len(l.events) > maxEvents {
		half := len(l.events) / 2
		l.dropped += half
		l.events = append(l.events[:0:0], l.events[half:]...)
	}
}

// parser is the state of reading one source.
type parser struct {
	file int
	best clock  // the most any line said about its time
	last moment // of the line before
	days int    // midnights passed in a log without dates
	n    int    // the line under the eye, and its time
	at   moment

	// A client's settings, printed over several lines: those seen, until the block ends and it is known whose they are.
	block      []Event
	blockOpen  bool
	blockOwner Event // ClientID and Group, as the block names them
}

// line turns one line into events: none for most.
func (p *parser) line(n int, text string) []Event {
	e := unwrap(text)
	if e.at.clock == noClock {
		e.at = p.last // lines of one message share its time
	} else {
		e.at = p.advance(e.at)
	}
	var out []Event
	p.n, p.at = n, e.at
	for _, ev := range p.message(e) {
		out = append(out, p.place(ev))
	}
	return out
}

// place says where and when an event was written, unless it knows.
func (p *parser) place(ev Event) Event {
	ev.file = p.file
	if ev.line == 0 {
		ev.line = p.n
	}
	if ev.moment.clock == noClock {
		ev.moment = p.at
	}
	if p.best = max(p.best, ev.moment.clock); ev.moment.clock > p.last.clock {
		p.last = ev.moment
	}
	return ev
}

// advance notes the time of a line; in a log without dates it counts the midnights.
func (p *parser) advance(m moment) moment {
	if m.clock == timeOfDay {
		const day, half = 24 * 3600e9, 12 * 3600e9
		if p.last.clock == timeOfDay {
			for d := int64(m.at) + int64(p.days)*day - int64(p.last.at); d < -half && p.days < 3650; d += day {
				p.days++
			}
		}
		m.at += instantDays(p.days)
	}
	p.last = m
	p.best = max(p.best, m.clock)
	return m
}

// message hands a message to the clients' parsers. The first that knows it has it.
func (p *parser) message(e envelope) []Event {
	out, mine := p.settings(e)
	if mine || !worthALook(e.text) {
		return out
	}
	for _, parse := range []func(envelope) (Event, bool){javaLine, librdkafkaLine, franzLine, saramaLine} {
		if ev, ok := parse(e); ok {
			return append(out, ev)
		}
	}
	return out
}

// worthALook keeps the parsers from the bulk of an application's log: every line they know has one of these words.
func worthALook(s string) bool {
	for _, w := range []string{"roup", "artition", "poll", "onsumer", "ember", "ebalanc", "ommit", "kafka", "join", "sync", "assign", "oordinator", "heartbeat", "lient"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
