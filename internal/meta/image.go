package meta

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Image is the metadata at one revision. It never changes: whoever holds one may read it for as long as it likes, from any
// goroutine, and everything reached through it belongs together. Apply makes the next Image and shares what did not change.
// Nothing returned by an Image may be written to.
type Image struct {
	revision  Revision
	clusterID string
	mods      struct{ cluster, nextProducer Revision }

	brokers      []*Broker                   // sorted by id; few
	names        tree[string, *Topic]        // complete topics only
	unified      tree[string, *Topic]        // by UnifiedName; complete topics only
	topics       tree[kafka.TopicID, *Topic] // also those of which a part is still missing
	configs      tree[Resource, *Config]     // only resources with something set
	nextProducer int64
	partitions   int // of complete topics
}

// NewImage is the empty image at revision 0: no cluster id, nothing.
func NewImage() *Image {
	return &Image{
		names:   tree[string, *Topic]{cmp: strings.Compare},
		unified: tree[string, *Topic]{cmp: strings.Compare},
		topics:  tree[kafka.TopicID, *Topic]{cmp: compareIDs},
		configs: tree[Resource, *Config]{cmp: Resource.Compare},
	}
}

func compareIDs(a, b kafka.TopicID) int { return bytes.Compare(a[:], b[:]) }

// Broker is a registered broker.
type Broker struct {
	ID    kafka.NodeID
	Epoch int64 // rises with each registration
	Registration
	ModRevision Revision
}

// Active reports whether the broker may lead and join an ISR.
func (b *Broker) Active() bool { return !b.Fenced && !b.Draining }

// Listener returns the broker's address under the listener name, nil if it has none of that name.
func (b *Broker) Listener(name string) *Listener {
	for i := range b.Listeners {
		if b.Listeners[i].Name == name {
			return &b.Listeners[i]
		}
	}
	return nil
}

// Topic is a topic with its partitions.
type Topic struct {
	Name        string
	ID          kafka.TopicID
	ModRevision Revision // of the topic's own key: creation, or the last change of the number of partitions

	count   int32          // what the topic's key says; 0 while that key is missing
	present int32          // how many partitions are there
	chunks  [][]*Partition // without nils at the end
	whole   bool           // the topic's key and each partition it speaks of are there, and no more
}

// Partition is one partition's state.
type Partition struct {
	PartitionValue
	ModRevision Revision
}

// chunkLen is how many partitions are copied when one changes.
const chunkLen = 64

// NumPartitions is the number of partitions; they are numbered from 0.
func (t *Topic) NumPartitions() int32 { return t.count }

// Partition returns one partition, nil if the number is out of range.
func (t *Topic) Partition(p int32) *Partition {
	if p < 0 || p >= t.count {
		return nil
	}
	return t.at(p)
}

func (t *Topic) at(p int32) *Partition {
	if c := int(p / chunkLen); c < len(t.chunks) {
		if i := int(p % chunkLen); i < len(t.chunks[c]) {
			return t.chunks[c][i]
		}
	}
	return nil
}

// Partitions yields all partitions in order.
func (t *Topic) Partitions() iter.Seq2[int32, *Partition] {
	return func(yield func(int32, *Partition) bool) {
		for p := int32(0); p < t.count; p++ {
			if !yield(p, t.at(p)) {
				return
			}
		}
	}
}

// Internal reports whether the topic is one that brokers keep for themselves.
func (t *Topic) Internal() bool { return kafka.IsInternal(t.Name) }

// extent is the number behind the last partition that is there.
func (t *Topic) extent() int32 {
	if len(t.chunks) == 0 {
		return 0
	}
	last := len(t.chunks) - 1
	return int32(last*chunkLen + len(t.chunks[last]))
}

// Config is what is set on one resource.
type Config struct {
	Resource    Resource
	Settings    Settings // may be empty
	ModRevision Revision
}

// Revision is the last change that the image holds.
func (im *Image) Revision() Revision { return im.revision }

// ClusterID is "" until the cluster was given one.
func (im *Image) ClusterID() string { return im.clusterID }

// Broker returns a registered broker, or nil.
func (im *Image) Broker(id kafka.NodeID) *Broker {
	if i, ok := im.findBroker(id); ok {
		return im.brokers[i]
	}
	return nil
}

func (im *Image) findBroker(id kafka.NodeID) (int, bool) {
	return slices.BinarySearchFunc(im.brokers, id, func(b *Broker, id kafka.NodeID) int { return int(b.ID) - int(id) })
}

// Brokers returns all registered brokers, sorted by id.
func (im *Image) Brokers() []*Broker { return im.brokers }

// Topic returns the topic of that name, or nil.
func (im *Image) Topic(name string) *Topic {
	t, _ := im.names.get(name)
	return t
}

// TopicByID returns the topic of that id, or nil.
func (im *Image) TopicByID(id kafka.TopicID) *Topic {
	if t, ok := im.topics.get(id); ok && t.whole {
		return t
	}
	return nil
}

// Colliding returns the topic, if any, whose name equals name or differs from it in "." and "_" only.
func (im *Image) Colliding(name string) *Topic {
	t, _ := im.unified.get(UnifiedName(name))
	return t
}

// Partition returns one partition, or nil.
func (im *Image) Partition(topic string, p int32) *Partition {
	if t := im.Topic(topic); t != nil {
		return t.Partition(p)
	}
	return nil
}

// Topics yields all topics sorted by name.
func (im *Image) Topics() iter.Seq[*Topic] { return im.TopicsFrom("") }

// TopicsFrom yields the topics named name or later, sorted by name.
func (im *Image) TopicsFrom(name string) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, t := range im.names.from(name) {
			if !yield(t) {
				return
			}
		}
	}
}

// Incomplete lists the topics of which a part is missing, the topic's own key or one of its partitions, sorted by id. No
// transaction leaves such a topic behind: it means that the Store lost something. They are hidden from everything else here.
func (im *Image) Incomplete() []kafka.TopicID {
	if im.topics.len == im.names.len {
		return nil
	}
	var ids []kafka.TopicID
	for id, t := range im.topics.all() {
		if !t.whole {
			ids = append(ids, id)
		}
	}
	return ids
}

// NumTopics is the number of topics.
func (im *Image) NumTopics() int { return im.names.len }

// NumPartitions is the number of partitions of all topics.
func (im *Image) NumPartitions() int { return im.partitions }

// Settings returns what is set on r itself, nil if nothing. What holds in the end (Kafka's order: topic, broker, all brokers,
// file, built in) is for the caller to put together.
func (im *Image) Settings(r Resource) Settings {
	if c := im.Config(r); c != nil {
		return c.Settings
	}
	return nil
}

// Config returns what is set on r with its revision, nil if nothing.
func (im *Image) Config(r Resource) *Config {
	c, _ := im.configs.get(r)
	return c
}

// Configs yields everything that is set, sorted by resource.
func (im *Image) Configs() iter.Seq[*Config] {
	return func(yield func(*Config) bool) {
		for _, c := range im.configs.all() {
			if !yield(c) {
				return
			}
		}
	}
}

// NextProducer is the first producer id that no broker has taken, and the revision of that fact.
func (im *Image) NextProducer() (next int64, mod Revision) {
	return im.nextProducer, im.mods.nextProducer
}
