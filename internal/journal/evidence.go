package journal

import (
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// Evidence is what others saw, gathered by the shell around a Recorder at the moment of a note. All of it is optional: what is not there is
// not known, and the incident says less.
type Evidence struct {
	Offsets []OffsetSeen
	Fetches []FetchSeen
	Clients []ClientSeen
	Topics  []TopicSeen
}

// OffsetSeen is how far the group is with a partition.
type OffsetSeen struct {
	kafka.TopicPartition
	Committed   int64         // -1: nothing is committed
	CommittedAt vtime.Instant // 0: not known
	LogEnd      int64         // -1: not known
}

// FetchSeen is what a client fetched of a partition last. A Fetch names no group, so it stands for a member only if no other member with
// that client id and host owns the partition, which the Recorder looks after; other groups on the same client are the shell's to tell apart.
type FetchSeen struct {
	Client, Host string
	kafka.TopicPartition
	Fetched   vtime.Instant // the last time it asked, whether there were records or not; 0: not known
	At        vtime.Instant // the last time records were delivered
	Delivered int64         // the offset behind the last record delivered
	// Next is the first fetch since Watched was asked for, 0 for none.
	Next vtime.Instant
}

// ClientSeen is what became of the connections of a client.
type ClientSeen struct {
	Client, Host string
	Open         int           // connections open now
	Closed       vtime.Instant // when one was closed last, 0 for never or not known
}

// TopicSeen is a topic as the metadata have it.
type TopicSeen struct {
	Name       string
	Partitions int32         // 0: there is no such topic
	Created    vtime.Instant // 0: not known
}

// Interest is what evidence a Recorder would like to have. The shell gathers what it can of it.
type Interest struct {
	Group string
	// Incident is set when the evidence is for Amend, "" when it is for a note.
	Incident string
	Owners   []Owner
	// Clients are those whose connections matter.
	Clients []Who
	// Topics are those whose number of partitions matters.
	Topics []string
	// Watch asks to remember the first fetch of these owners from now on: the next evidence shall have it as FetchSeen.Next.
	Watch bool
}

// Owner is a member with partitions.
type Owner struct {
	Client, Host string
	Partitions   []TopicPartitions
}

// seen is evidence that can be looked up.
type seen struct {
	offsets map[kafka.TopicPartition]OffsetSeen
	fetches map[fetchKey]FetchSeen
	clients map[clientKey]ClientSeen
	topics  map[string]TopicSeen
}

type clientKey struct{ client, host string }

type fetchKey struct {
	clientKey
	kafka.TopicPartition
}

// with is s where e has nothing newer.
func (s seen) with(e seen) seen {
	if e.offsets == nil {
		return s
	}
	for k, v := range s.offsets { // any order: each goes to its own entry
		if _, ok := e.offsets[k]; !ok {
			e.offsets[k] = v
		}
	}
	for k, v := range s.fetches { // any order: each goes to its own entry
		if _, ok := e.fetches[k]; !ok {
			e.fetches[k] = v
		}
	}
	return e
}

func index(e Evidence) seen {
	var s seen
	if len(e.Offsets)+len(e.Fetches)+len(e.Clients)+len(e.Topics) == 0 {
		return s // maps that are nil can be asked
	}
	s = seen{map[kafka.TopicPartition]OffsetSeen{}, map[fetchKey]FetchSeen{}, map[clientKey]ClientSeen{}, map[string]TopicSeen{}}
	for _, o := range e.Offsets {
		s.offsets[o.TopicPartition] = o
	}
	for _, f := range e.Fetches {
		s.fetches[fetchKey{clientKey{f.Client, f.Host}, f.TopicPartition}] = f
	}
	for _, c := range e.Clients {
		s.clients[clientKey{c.Client, c.Host}] = c
	}
	for _, t := range e.Topics {
		s.topics[t.Name] = t
	}
	return s
}
