package broker

import (
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
)

// The console shows rebalances from before the start, too: it reads the end of the journal once, in the background, and of each record only the head.
const (
	historyBytes     = 4 << 20   // of each partition, about
	historyReadBytes = 256 << 10 // at a time
	recordReadBytes  = 4 << 10   // for one record; a larger one comes whole
)

// readHistory puts the newest incidents of the journal into the console's store, until stop is closed.
func (s *consoleSource) readHistory(stop <-chan struct{}) {
	t := s.b.image.Load().Topic(kafka.RebalancesTopic)
	if t == nil {
		return
	}
	began, count := time.Now(), 0
	for n := range t.NumPartitions() {
		select {
		case <-stop:
			return
		default:
		}
		p := s.b.parts.Get(t.Name, n)
		if p == nil || p.ErrorCode() != kafka.None || p.HighWatermark() == p.Log().StartOffset() {
			continue
		}
		found, err := s.readPartition(p)
		if err != nil {
			s.b.log.Warn("the console shows no rebalances from before the start", "partition", n, "error", err)
		}
		count += found
	}
	if count > 0 {
		s.b.log.Info("rebalances from before the start are at hand", "incidents", count, "took", time.Since(began).Round(time.Millisecond))
	}
}

// readPartition reads the last incidents of a partition of the journal: as many records as fit historyBytes on average.
func (s *consoleSource) readPartition(p *replicadriver.Partition) (int, error) {
	log := p.Log()
	start, end := log.StartOffset(), p.HighWatermark()
	average := max(1, log.Size()/max(1, end-start))
	at := max(start, end-max(1, historyBytes/average))
	newest := map[[2]string]place{} // by group and id
	reader := batch.NewReader(s.b.codecs)
	var buf []byte
	for at < end {
		slice, err := log.Read(at, historyReadBytes, end, true)
		if err != nil {
			return 0, fmt.Errorf("read the journal at offset %d: %w", at, err)
		}
		buf, err = slice.AppendTo(buf[:0])
		slice.Release()
		if err != nil {
			return 0, fmt.Errorf("read the journal at offset %d: %w", at, err)
		}
		next := at
		for rest := buf; len(rest) > 0; {
			one, more, err := batch.Next(rest)
			if err != nil {
				break // the read ended inside it
			}
			rest, next = more, one.LastOffset()+1
			err = reader.Each(one, func(r *batch.Record) error {
				// What is no incident somebody else wrote; nobody asked for it to be shown.
				h, err := journal.ReadHead(r.Value)
				if err != nil {
					return nil
				}
				if name := [2]string{string(r.Key), h.ID}; h.Rev > newest[name].Rev {
					newest[name] = place{h, r.Offset}
				}
				return nil
			})
			if err != nil {
				return 0, fmt.Errorf("the journal's batch at offset %d: %w", one.BaseOffset(), err)
			}
		}
		if next <= at {
			break
		}
		at = next
	}
	for name, h := range newest { // any order: the store sorts
		if h.Ended == nil && h.Began.Instant().Before(s.started) { // rare: it was under way at the end
			if in, err := s.incidentAt(name[0], h.offset); err == nil {
				h.Ended = in.Ended
			}
		}
		s.incidents.PutHead(name[0], h.Head, h.offset)
	}
	return len(newest), nil
}

// place is a head and where its record is.
type place struct {
	journal.Head
	offset int64
}

// record reads one record of the journal, from the partition of its group.
func (s *consoleSource) record(group string, offset int64) (value []byte, err error) {
	t := s.b.image.Load().Topic(kafka.RebalancesTopic)
	if t == nil {
		return nil, console.ErrNotFound
	}
	p := s.b.parts.Get(t.Name, kafka.PartitionOf(group, t.NumPartitions()))
	if p == nil || p.ErrorCode() != kafka.None {
		return nil, console.ErrNotFound
	}
	log := p.Log()
	slice, err := log.Read(offset, recordReadBytes, log.EndOffset(), true) // it may not be flushed yet
	if err != nil {
		return nil, fmt.Errorf("read the journal at offset %d: %w", offset, err)
	}
	buf, err := slice.AppendTo(nil)
	slice.Release()
	if err != nil {
		return nil, fmt.Errorf("read the journal at offset %d: %w", offset, err)
	}
	one, _, err := batch.Next(buf)
	if err != nil {
		return nil, fmt.Errorf("the journal's batch at offset %d: %w", offset, err)
	}
	err = batch.NewReader(s.b.codecs).Each(one, func(r *batch.Record) error {
		if r.Offset == offset {
			value = slices.Clone(r.Value)
		}
		return nil
	})
	if err == nil && value == nil {
		err = console.ErrNotFound
	}
	return value, err
}

// incidentAt is one incident of the journal, as its highest revision has it.
func (s *consoleSource) incidentAt(group string, offset int64) (journal.Incident, error) {
	value, err := s.record(group, offset)
	if err != nil {
		return journal.Incident{}, err
	}
	in, err := journal.Decode([]byte(group), value)
	return s.seen(in), err
}

// seen is an incident as it is to be shown: what was under way when an earlier process stopped is over.
func (s *consoleSource) seen(in journal.Incident) journal.Incident {
	if in.Began.Instant().Before(s.started) {
		return over(in)
	}
	return in
}

// over ends an incident that was under way when an earlier process stopped: nobody will ever say how it went on.
func over(in journal.Incident) journal.Incident {
	if in.Stage.Over() || in.Ended != nil {
		return in
	}
	last := in.Began
	for _, ph := range in.Phases {
		last = max(last, ph.Start)
		if ph.End != nil {
			last = max(last, *ph.End)
		}
	}
	in.Stage, in.Ended, in.StateAfter = journal.Closed, &last, "lost"
	return in
}
