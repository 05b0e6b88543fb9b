package broker

import (
	"errors"
	"slices"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/replica"
	replicadriver "github.com/barnabas-mq/barnabas/internal/replica/driver"
)

// onChange makes real what the metadata says: settings, then partitions that went, then those that came or changed, then what
// the group coordinator has to know of it. The controller
// calls it in order, before whoever caused the change is answered.
func (b *Broker) onChange(im *meta.Image, ch meta.Changes) error {
	b.configure(im, ch.Configs)
	var errs []error
	for _, t := range ch.TopicsDeleted {
		errs = append(errs, b.parts.Drop(t.Name, t.ID))
		b.metrics.ForgetTopic(t.Name)
	}
	errs = append(errs, b.openPartitions(im, ch.Partitions))
	b.noteTopics(ch)
	b.image.Store(im)
	b.leadGroups(im, ch)
	return errors.Join(errs...)
}

// configure applies changed settings. A change of the broker's own defaults touches every topic.
func (b *Broker) configure(im *meta.Image, changed []meta.Resource) {
	for _, r := range changed {
		if r.Type == meta.BrokerResource && (r == meta.DefaultBrokerConfigs() || r == meta.BrokerConfigs(b.node)) {
			b.applyDynamic(im)
			b.store.Reconfigure(b.running())
			for t := range im.Topics() {
				b.parts.Configure(t.Name, b.topicConfig(im, t.Name))
			}
			return
		}
	}
	for _, r := range changed {
		if r.Type == meta.TopicResource {
			b.parts.Configure(r.Name, b.topicConfig(im, r.Name))
		}
	}
}

// applyDynamic takes the dynamic settings of this broker and of all into force.
func (b *Broker) applyDynamic(im *meta.Image) {
	cfg, warnings := b.static.WithDynamic(im.Settings(meta.BrokerConfigs(b.node)).Map(), im.Settings(meta.DefaultBrokerConfigs()).Map())
	for _, w := range warnings {
		b.log.Warn("a stored setting has no effect", "setting", w.Name, "reason", w.Text)
	}
	b.config.Store(cfg)
}

func (b *Broker) openPartitions(im *meta.Image, changes []meta.PartitionChange) error {
	var specs []replicadriver.Spec
	var topic string
	var cfg *replicadriver.TopicConfig
	for _, c := range changes {
		if c.New == nil || !slices.Contains(c.New.Replicas, b.node) {
			continue
		}
		if cfg == nil || c.Topic.Name != topic {
			topic, cfg = c.Topic.Name, b.topicConfig(im, c.Topic.Name)
		}
		specs = append(specs, replicadriver.Spec{
			Name: kafka.TopicPartition{Topic: c.Topic.Name, Partition: c.Partition}, TopicID: c.Topic.ID, Config: cfg,
			Leadership: replica.Leadership{Epoch: c.New.LeaderEpoch, Replicas: c.New.Replicas, ISR: c.New.ISR},
		})
	}
	if len(specs) == 0 {
		return nil
	}
	return b.parts.Open(specs)
}
