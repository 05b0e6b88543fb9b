package meta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Changes says what differs between two images, for shells that keep something per topic, partition or setting.
type Changes struct {
	Revision Revision // of the newer image

	TopicsDeleted []*Topic // as they were, sorted by name
	TopicsCreated []*Topic // sorted by name

	// Partitions lists every partition that came, went or changed, those of TopicsCreated and TopicsDeleted included. First
	// the ones that went, then the others, each sorted by topic name and number: a topic that was deleted and made again
	// between the two images appears in both parts, with different ids.
	Partitions []PartitionChange

	Configs        []Resource     // whose settings changed, sorted
	Brokers        []kafka.NodeID // that registered, changed or went, sorted
	ClusterChanged bool           // the cluster id was set
}

// PartitionChange is one partition before and after.
type PartitionChange struct {
	Topic     *Topic // the newer one; of a partition that went, the older one
	Partition int32
	Old       *Partition // nil: it came
	New       *Partition // nil: it went
}

// Empty reports whether nothing that shells care for changed.
func (c *Changes) Empty() bool {
	return len(c.Partitions) == 0 && len(c.Configs) == 0 && len(c.Brokers) == 0 && !c.ClusterChanged
}

// Apply is the image after b. It costs what b changes, not what the image holds. An error means that b holds something this
// build cannot read or that cannot be; the image is as it was.
//
// Batches must come in order; one that is not newer than the image changes nothing, so that a change seen twice does no harm.
func (im *Image) Apply(b Batch) (*Image, Changes, error) {
	if b.Revision <= im.revision {
		return im, Changes{Revision: im.revision}, nil
	}
	a := applier{image: *im, edit: new(edit), touched: map[kafka.TopicID]*touchedTopic{}}
	a.image.revision = b.Revision
	a.changes.Revision = b.Revision
	for _, ev := range b.Events {
		if err := a.event(ev); err != nil {
			return im, Changes{}, err
		}
	}
	if err := a.finishTopics(); err != nil {
		return im, Changes{}, err
	}
	a.sortChanges()
	return &a.image, a.changes, nil
}

// FromList is the image of a whole Store, as List with an empty prefix gives it.
func FromList(kvs []KV, at Revision) (*Image, Changes, error) {
	return NewImage().Apply(NewImage().CatchUp(kvs, at))
}

// CatchUp is the batch that leads from the image to the listed state: for a watcher that fell behind what the Store keeps.
func (im *Image) CatchUp(kvs []KV, at Revision) Batch {
	had := im.modRevisions()
	b := Batch{Revision: at, Events: make([]Event, 0, max(0, len(kvs)-len(had)))}
	for _, kv := range kvs {
		if had[kv.Key] != kv.ModRevision {
			b.Events = append(b.Events, Event{KV: kv})
		}
		delete(had, kv.Key)
	}
	gone := make([]string, 0, len(had))
	for key := range had { // any order: sorted below
		gone = append(gone, key)
	}
	slices.Sort(gone)
	for _, key := range gone {
		b.Events = append(b.Events, Event{KV: KV{Key: key, ModRevision: at}, Deleted: true})
	}
	return b
}

// modRevisions is every key the image was made of.
func (im *Image) modRevisions() map[string]Revision {
	m := make(map[string]Revision, 2*im.topics.len+im.partitions)
	if im.mods.cluster > 0 {
		m[keyCluster] = im.mods.cluster
	}
	if im.mods.nextProducer > 0 {
		m[keyNextProducer] = im.mods.nextProducer
	}
	for _, b := range im.brokers {
		m[BrokerKey(b.ID)] = b.ModRevision
	}
	for _, c := range im.configs.all() {
		m[c.Resource.Key()] = c.ModRevision
	}
	for id, t := range im.topics.all() {
		if t.count > 0 {
			m[TopicKey(id)] = t.ModRevision
		}
		for i, c := range t.chunks {
			for j, p := range c {
				if p != nil {
					m[PartitionKey(id, int32(i*chunkLen+j))] = p.ModRevision
				}
			}
		}
	}
	return m
}

// applier is one Apply under way.
type applier struct {
	image   Image // being built
	edit    *edit
	changes Changes
	touched map[kafka.TopicID]*touchedTopic
}

// touchedTopic is a topic some key of which is among the events.
type touchedTopic struct {
	old, now *Topic  // old may be nil; now is ours to write
	owned    []bool  // which chunks are ours to write
	parts    []int32 // the partitions that events named, unsorted, perhaps twice
}

func (a *applier) event(ev Event) error {
	k, err := parseKey(ev.KV.Key)
	if err != nil {
		return err
	}
	im, kv := &a.image, ev.KV
	switch k.kind {
	case kindCluster:
		v := Cluster{}
		if ev.Deleted {
			kv.ModRevision = 0
		} else if v, err = decodeCluster(kv.Key, kv.Value); err != nil {
			return err
		}
		im.clusterID, im.mods.cluster = v.ClusterID, kv.ModRevision
		a.changes.ClusterChanged = true
	case kindNextProducer:
		var next int64
		if ev.Deleted {
			kv.ModRevision = 0
		} else if next, err = decodeNextProducer(kv.Key, kv.Value); err != nil {
			return err
		}
		im.nextProducer, im.mods.nextProducer = next, kv.ModRevision
	case kindBroker:
		return a.broker(k.broker, ev)
	case kindConfig:
		a.changes.Configs = append(a.changes.Configs, k.resource)
		if ev.Deleted {
			im.configs.delete(a.edit, k.resource)
			return nil
		}
		s, err := decodeConfig(kv.Key, kv.Value)
		if err != nil {
			return err
		}
		im.configs.set(a.edit, k.resource, &Config{k.resource, s, kv.ModRevision})
	case kindTopic:
		t := a.touch(k.topic).now
		if ev.Deleted {
			t.Name, t.count, t.ModRevision = "", 0, 0
			return nil
		}
		v, err := decodeTopic(kv.Key, kv.Value)
		if err != nil {
			return err
		}
		t.Name, t.count, t.ModRevision = v.Name, v.Partitions, kv.ModRevision
	case kindPartition:
		var p *Partition
		if !ev.Deleted {
			v, err := decodePartition(kv.Key, kv.Value)
			if err != nil {
				return err
			}
			p = &Partition{v, kv.ModRevision}
		}
		a.touch(k.topic).set(k.partition, p)
	}
	return nil
}

func (a *applier) broker(id kafka.NodeID, ev Event) error {
	im := &a.image
	i, found := im.findBroker(id)
	brokers := slices.Clone(im.brokers)
	if ev.Deleted {
		if found {
			brokers = slices.Delete(brokers, i, i+1)
		}
	} else {
		v, err := decodeRegistration(ev.KV.Key, ev.KV.Value)
		if err != nil {
			return err
		}
		b := &Broker{ID: id, Epoch: int64(ev.KV.ModRevision), Registration: v, ModRevision: ev.KV.ModRevision}
		if found {
			brokers[i] = b
		} else {
			brokers = slices.Insert(brokers, i, b)
		}
	}
	im.brokers = brokers
	a.changes.Brokers = append(a.changes.Brokers, id)
	return nil
}

// touch makes the topic ours to write.
func (a *applier) touch(id kafka.TopicID) *touchedTopic {
	if t := a.touched[id]; t != nil {
		return t
	}
	t := &touchedTopic{now: &Topic{ID: id}}
	if old, ok := a.image.topics.get(id); ok {
		t.old = old
		c := *old
		c.chunks = slices.Clone(old.chunks)
		t.now = &c
	}
	t.owned = make([]bool, len(t.now.chunks))
	a.touched[id] = t
	return t
}

// set puts p (nil: nothing) at its place, copying the chunk it lies in at most once.
func (t *touchedTopic) set(p int32, v *Partition) {
	t.parts = append(t.parts, p)
	c, i := int(p/chunkLen), int(p%chunkLen)
	if c >= len(t.now.chunks) && v == nil {
		return
	}
	for len(t.now.chunks) <= c {
		t.now.chunks = append(t.now.chunks, nil)
		t.owned = append(t.owned, false)
	}
	if !t.owned[c] {
		t.now.chunks[c] = slices.Clone(t.now.chunks[c])
		t.owned[c] = true
	}
	chunk := t.now.chunks[c]
	if i >= len(chunk) {
		if v == nil {
			return
		}
		chunk = append(chunk, make([]*Partition, i+1-len(chunk))...)
		t.now.chunks[c] = chunk
	}
	if chunk[i] == nil && v != nil {
		t.now.present++
	} else if chunk[i] != nil && v == nil {
		t.now.present--
	}
	chunk[i] = v
	if v == nil {
		t.trim()
	}
}

// trim drops what is empty at the end, so that extent is true.
func (t *touchedTopic) trim() {
	for last := len(t.now.chunks) - 1; last >= 0; last-- {
		c := t.now.chunks[last]
		for len(c) > 0 && c[len(c)-1] == nil {
			c = c[:len(c)-1]
		}
		t.now.chunks[last] = c
		if len(c) > 0 {
			return
		}
		t.now.chunks, t.owned = t.now.chunks[:last], t.owned[:last]
	}
}

// finishTopics brings the touched topics into the indexes and notes what changed.
func (a *applier) finishTopics() error {
	im, e := &a.image, a.edit
	ids := make([]kafka.TopicID, 0, len(a.touched))
	for id := range a.touched { // any order: sorted below
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareIDs)

	// First everything that goes, so that a name freed and taken again in one batch ends up with its new owner.
	for _, id := range ids {
		t := a.touched[id]
		if was := t.old; was != nil && was.whole {
			im.names.delete(e, was.Name)
			im.unified.delete(e, UnifiedName(was.Name))
			im.partitions -= int(was.count)
		}
	}
	for _, id := range ids {
		t := a.touched[id]
		now := t.now
		now.whole = now.count > 0 && now.present == now.count && now.extent() == now.count
		if now.count == 0 && now.present == 0 {
			im.topics.delete(e, id)
		} else {
			im.topics.set(e, id, now)
		}
		if now.whole {
			if other, ok := im.unified.get(UnifiedName(now.Name)); ok {
				return fmt.Errorf("metadata: topics %s (%q) and %s (%q) have colliding names", other.ID, other.Name, now.ID, now.Name)
			}
			im.names.set(e, now.Name, now)
			im.unified.set(e, UnifiedName(now.Name), now)
			im.partitions += int(now.count)
		}
		a.note(t)
	}
	return nil
}

// note adds the topic's differences to the changes.
func (a *applier) note(t *touchedTopic) {
	was, now := t.old, t.now
	before, after := was != nil && was.whole, now.whole
	switch {
	case before && !after:
		a.changes.TopicsDeleted = append(a.changes.TopicsDeleted, was)
		for p, old := range was.Partitions() {
			a.changes.Partitions = append(a.changes.Partitions, PartitionChange{was, p, old, nil})
		}
	case !before && after:
		a.changes.TopicsCreated = append(a.changes.TopicsCreated, now)
		for p, v := range now.Partitions() {
			a.changes.Partitions = append(a.changes.Partitions, PartitionChange{now, p, nil, v})
		}
	case before && after:
		slices.Sort(t.parts)
		for _, p := range slices.Compact(t.parts) {
			old, v := was.Partition(p), now.Partition(p)
			switch {
			case old == v:
			case v == nil:
				a.changes.Partitions = append(a.changes.Partitions, PartitionChange{was, p, old, nil})
			default:
				a.changes.Partitions = append(a.changes.Partitions, PartitionChange{now, p, old, v})
			}
		}
	}
}

func (a *applier) sortChanges() {
	c := &a.changes
	byName := func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(c.TopicsDeleted, byName)
	slices.SortStableFunc(c.TopicsCreated, byName)
	slices.SortStableFunc(c.Partitions, func(a, b PartitionChange) int {
		if (a.New == nil) != (b.New == nil) {
			if a.New == nil {
				return -1
			}
			return 1
		}
		if d := byName(a.Topic, b.Topic); d != 0 {
			return d
		}
		return int(a.Partition) - int(b.Partition)
	})
	slices.SortFunc(c.Configs, Resource.Compare)
	c.Configs = slices.Compact(c.Configs)
	slices.Sort(c.Brokers)
	c.Brokers = slices.Compact(c.Brokers)
}
