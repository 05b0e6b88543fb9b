package broker

import (
	"fmt"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
)

// The console shows rebalances from before the start, too: it reads the end of the journal once, in the background.
const (
	historyBytes     = 1 << 20   // of each partition, about
	historyReadBytes = 256 << 10 // at a time
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
	newest := map[string]journal.Incident{} // by group and id
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
				if in, err := journal.Decode(r.Key, r.Value); err == nil && in.Rev > newest[in.Group+"\x00"+in.ID].Rev {
					newest[in.Group+"\x00"+in.ID] = in
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
	for _, in := range newest { // any order: the store sorts
		if in.Began.Instant().Before(s.started) {
			in = over(in)
		}
		s.incidents.Put(in)
	}
	return len(newest), nil
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
