package driver

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/replica"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// Set is all partitions this node holds, by topic.
type Set struct {
	self        kafka.NodeID
	store       *storage.Store
	waitForDisk bool
	log         *slog.Logger

	mu     sync.RWMutex
	topics map[string]*topic
	byID   map[kafka.TopicID]*topic
}

type topic struct {
	name  string
	id    kafka.TopicID
	parts []*Partition // by partition number; nil where this node holds none
}

// NewSet makes an empty set; Use gives it its store. waitForDisk is log.flush=commit.
func NewSet(self kafka.NodeID, waitForDisk bool, log *slog.Logger) *Set {
	return &Set{self: self, waitForDisk: waitForDisk, log: log, topics: map[string]*topic{}, byID: map[kafka.TopicID]*topic{}}
}

// Use hands over the store, before the first Open. It comes late since a store reports to its set from the moment it opens.
func (s *Set) Use(store *storage.Store) { s.store = store }

// Get finds a partition by name; nil if this node does not hold it.
func (s *Set) Get(name string, partition int32) *Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[name].at(partition)
}

// GetBytes is Get for a name that is still bytes of a request.
func (s *Set) GetBytes(name []byte, partition int32) *Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[string(name)].at(partition)
}

// GetID finds a partition by topic id. p is nil if this node does not hold it; known says whether it holds any of that topic.
func (s *Set) GetID(id kafka.TopicID, partition int32) (p *Partition, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.byID[id]
	return t.at(partition), t != nil
}

func (t *topic) at(partition int32) *Partition {
	if t == nil || partition < 0 || int(partition) >= len(t.parts) {
		return nil
	}
	return t.parts[partition]
}

// Spec is a partition this node is to serve.
type Spec struct {
	Name       kafka.TopicPartition
	TopicID    kafka.TopicID
	Leadership replica.Leadership
	Config     *TopicConfig
}

// Open begins to serve partitions, or takes what the metadata newly says of those it serves already. Logs that are not there are
// created, all together, since each waits for the disk. A log of the same name that belongs to another topic makes way, and is put aside:
// a topic deleted while the broker was killed leaves one, but so do metadata that were lost, or a folder that Kafka wrote.
func (s *Set) Open(specs []Spec) error {
	var missing []storage.CreateSpec
	var stale []kafka.TopicPartition
	for _, sp := range specs {
		log := s.store.Get(sp.Name)
		if log != nil && !log.TopicID().IsZero() && log.TopicID() != sp.TopicID {
			stale = append(stale, sp.Name)
			log = nil
		}
		if log == nil {
			missing = append(missing, storage.CreateSpec{TP: sp.Name, ID: sp.TopicID, Config: sp.Config.Log, LeaderEpoch: sp.Leadership.Epoch})
		}
	}
	if len(stale) > 0 {
		if err := s.store.PutAside(stale); err != nil {
			return fmt.Errorf("put the logs of earlier topics aside: %w", err)
		}
	}
	if len(missing) > 0 {
		if _, err := s.store.CreateAll(missing); err != nil {
			return fmt.Errorf("create %d logs, the first of %s: %w", len(missing), missing[0].TP, err)
		}
	}
	for i := range specs {
		if err := s.serve(&specs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) serve(sp *Spec) error {
	if p, _ := s.GetID(sp.TopicID, sp.Name.Partition); p != nil {
		return p.lead(s.self, sp.Leadership)
	}
	log := s.store.Get(sp.Name)
	p := &Partition{Name: sp.Name, TopicID: sp.TopicID, log: log, waitForDisk: s.waitForDisk}
	p.configure(sp.Config)
	log.SetUserData(p)
	if err := p.lead(s.self, sp.Leadership); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.byID[sp.TopicID]
	if t == nil {
		t = &topic{name: sp.Name.Topic, id: sp.TopicID}
		s.topics[sp.Name.Topic], s.byID[sp.TopicID] = t, t
	}
	if n := int(sp.Name.Partition) + 1; n > len(t.parts) {
		grown := make([]*Partition, max(n, 2*len(t.parts)))
		copy(grown, t.parts)
		t.parts = grown
	}
	t.parts[sp.Name.Partition] = p
	return nil
}

// Configure hands a changed topic configuration to its partitions.
func (s *Set) Configure(name string, cfg *TopicConfig) {
	for _, p := range s.Topic(name) {
		p.configure(cfg)
	}
}

// Topic lists the partitions of a topic that this node holds.
func (s *Set) Topic(name string) []*Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[name]
	if t == nil {
		return nil
	}
	out := make([]*Partition, 0, len(t.parts))
	for _, p := range t.parts {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// Drop ends service of a topic and deletes its logs.
func (s *Set) Drop(name string, id kafka.TopicID) error {
	s.mu.Lock()
	t := s.byID[id]
	delete(s.byID, id)
	if t != nil && s.topics[name] == t {
		delete(s.topics, name)
	}
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	var names []kafka.TopicPartition
	for _, p := range t.parts {
		if p != nil {
			p.stop(kafka.UnknownTopicOrPartition)
			names = append(names, p.Name)
		}
	}
	if err := s.store.DeleteAll(names); err != nil {
		return fmt.Errorf("delete the logs of topic %s: %w", name, err)
	}
	return nil
}

// Flushed is storage's report that a log is durable below end.
func (s *Set) Flushed(l *storage.Log, end int64) {
	if p, ok := l.UserData().(*Partition); ok && s.waitForDisk {
		p.durable(end)
	}
}

// Offline is storage's report that a directory failed: its partitions answer KAFKA_STORAGE_ERROR from now on.
func (s *Set) Offline(dir string) {
	s.mu.RLock()
	var lost []*Partition
	for _, t := range s.topics { // any order: each is stopped
		for _, p := range t.parts {
			if p != nil && p.log.Dir() == dir {
				lost = append(lost, p)
			}
		}
	}
	s.mu.RUnlock()
	for _, p := range lost {
		p.stop(kafka.KafkaStorageError)
	}
}

// All lists the partitions served, in no particular order.
func (s *Set) All() []*Partition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Partition
	for _, t := range s.topics { // any order: as the doc says
		for _, p := range t.parts {
			if p != nil {
				out = append(out, p)
			}
		}
	}
	return out
}
