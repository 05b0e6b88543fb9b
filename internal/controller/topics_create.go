package controller

import (
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// clusterMetadataTopic is the name of Kafka's own metadata log; a topic of that name would mislead its tools.
const clusterMetadataTopic = "__cluster_metadata"

// CreateTopicsRequest asks for topics.
type CreateTopicsRequest struct {
	Topics       []NewTopic
	ValidateOnly bool // every check, no change
}

// NewTopic is one topic to be made.
type NewTopic struct {
	Name              string
	Partitions        int32             // -1: the default, or what Assignments say
	ReplicationFactor int16             // -1: the default, or what Assignments say
	Assignments       []Assignment      // empty: the controller places the replicas
	Configs           []NewTopicSetting // the last one of a name counts

	ID    kafka.TopicID // fresh; the driver fills it in
	Start uint32        // where placement starts; the driver fills it in with a random number
}

// Assignment says where the replicas of one partition lie; the first is the preferred leader.
type Assignment struct {
	Partition int32
	Replicas  []kafka.NodeID
}

// NewTopicSetting is an override for a new topic.
type NewTopicSetting struct {
	Name  string
	Value *string // nil is refused
}

// TopicResult is what became of one topic. ID, Partitions and ReplicationFactor are set on success only.
type TopicResult struct {
	Name              string
	ID                kafka.TopicID
	Partitions        int32
	ReplicationFactor int16
	Result
}

// CreateTopics answers one result per name: first those named once, in the order of the request, then those named repeatedly.
func (c *Controller) CreateTopics(im *meta.Image, req CreateTopicsRequest) ([]TopicResult, meta.Txn) {
	names := make([]string, len(req.Topics))
	total := int64(0)
	for i := range req.Topics {
		t := &req.Topics[i]
		names[i] = t.Name
		switch {
		case len(t.Assignments) > 0:
			total += int64(len(t.Assignments))
		case t.Partitions == -1:
			total += int64(c.Settings.NumPartitions)
		default:
			total += int64(max(t.Partitions, 0))
		}
	}
	once, repeated := splitRepeated(names)
	results := make([]TopicResult, 0, len(once)+len(repeated))
	var txn meta.Txn
	taken := map[string]string{} // unified name -> name, of this request
	for _, i := range once {
		t := &req.Topics[i]
		r := TopicResult{Name: t.Name}
		if total > int64(c.Settings.PartitionsPerRequestMax) {
			r.Result = failed(kafka.PolicyViolation, "the request asks for %d partitions, the limit of one request is %d; create fewer at a time", total, c.Settings.PartitionsPerRequestMax)
		} else {
			var parts []meta.PartitionValue
			var settings meta.Settings
			parts, settings, r.Result = c.createTopic(im, t, taken)
			if r.OK() {
				taken[meta.UnifiedName(t.Name)] = t.Name
				r.ID, r.Partitions, r.ReplicationFactor = t.ID, int32(len(parts)), int16(len(parts[0].Replicas))
				writeTopic(&txn, im, t, parts, settings)
			}
		}
		results = append(results, r)
	}
	for _, i := range repeated {
		results = append(results, TopicResult{Name: names[i], Result: failed(kafka.InvalidRequest, "Duplicate topic name.")})
	}
	if req.ValidateOnly {
		txn = meta.Txn{}
	}
	return results, txn
}

// splitRepeated returns the indexes of the names that occur once, and the first index of each that occurs more than once.
func splitRepeated(names []string) (once, repeated []int) {
	count := make(map[string]int, len(names))
	for _, n := range names {
		count[n]++
	}
	for i, n := range names {
		switch {
		case count[n] == 1:
			once = append(once, i)
		case count[n] > 1:
			repeated = append(repeated, i)
			count[n] = -1
		}
	}
	return once, repeated
}

// writeTopic adds what makes the topic to txn.
func writeTopic(txn *meta.Txn, im *meta.Image, t *NewTopic, parts []meta.PartitionValue, settings meta.Settings) {
	txn.If = append(txn.If,
		meta.Cond{Key: meta.NameKey(t.Name)},
		meta.Cond{Key: meta.TopicKey(t.ID)})
	txn.Do = append(txn.Do,
		meta.Put(meta.NameKey(t.Name), meta.EncodeName(t.Name, t.ID)),
		meta.Put(meta.TopicKey(t.ID), meta.EncodeTopic(t.Name, int32(len(parts)))))
	for p := range parts {
		txn.Do = append(txn.Do, meta.Put(meta.PartitionKey(t.ID, int32(p)), meta.EncodePartition(parts[p])))
	}
	if len(settings) > 0 {
		txn.Do = append(txn.Do, meta.Put(meta.TopicConfigs(t.Name).Key(), meta.EncodeConfig(settings)))
	}
}

// createTopic judges one topic. taken holds the names given away earlier in the request.
func (c *Controller) createTopic(im *meta.Image, t *NewTopic, taken map[string]string) ([]meta.PartitionValue, meta.Settings, Result) {
	if t.Name == clusterMetadataTopic {
		return nil, nil, failed(kafka.InvalidRequest, "Creation of internal topic %s is prohibited.", clusterMetadataTopic)
	}
	if err := kafka.CheckTopicName(t.Name); err != nil {
		return nil, nil, failed(kafka.InvalidTopicException, "%v", err)
	}
	if im.Topic(t.Name) != nil {
		return nil, nil, failed(kafka.TopicAlreadyExists, "Topic '%s' already exists.", t.Name)
	}
	if other := im.Colliding(t.Name); other != nil {
		return nil, nil, failed(kafka.InvalidTopicException, "Topic '%s' collides with existing topic: %s ('.' and '_' count as the same character)", t.Name, other.Name)
	}
	if other, ok := taken[meta.UnifiedName(t.Name)]; ok {
		return nil, nil, failed(kafka.InvalidTopicException, "Topic '%s' collides with a topic of the same request: %s ('.' and '_' count as the same character)", t.Name, other)
	}
	settings, r := c.newTopicSettings(t)
	if !r.OK() {
		return nil, nil, r
	}
	var parts []meta.PartitionValue
	if len(t.Assignments) > 0 {
		parts, r = c.assignedByHand(im, t)
	} else {
		parts, r = c.placed(im, t)
	}
	return parts, settings, r
}

func (c *Controller) newTopicSettings(t *NewTopic) (meta.Settings, Result) {
	if len(t.Configs) == 0 {
		return nil, Result{}
	}
	m := make(map[string]string, len(t.Configs))
	var null []string
	for _, s := range t.Configs {
		if s.Value == nil {
			null = append(null, s.Name)
		} else {
			m[s.Name] = *s.Value
		}
	}
	if len(null) > 0 {
		return nil, failed(kafka.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(null, ","))
	}
	return c.validate(meta.TopicConfigs(t.Name), meta.SettingsOf(m))
}

// assignedByHand takes the client's assignment.
func (c *Controller) assignedByHand(im *meta.Image, t *NewTopic) ([]meta.PartitionValue, Result) {
	switch n := int32(len(t.Assignments)); {
	case t.ReplicationFactor != -1:
		return nil, failed(kafka.InvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	case t.Partitions != -1:
		return nil, failed(kafka.InvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	case n > c.Settings.PartitionsPerTopicMax:
		return nil, c.tooManyPartitions(t.Name, n)
	}
	byNumber := make(map[int32][]kafka.NodeID, len(t.Assignments))
	factor := len(t.Assignments[0].Replicas)
	for _, a := range t.Assignments {
		if _, twice := byNumber[a.Partition]; twice {
			return nil, failed(kafka.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if r := checkAssignment(im, a.Replicas, factor); !r.OK() {
			return nil, r
		}
		if !anyActive(im, a.Replicas) {
			return nil, noneActive(a.Partition)
		}
		byNumber[a.Partition] = a.Replicas
	}
	parts := make([]meta.PartitionValue, len(t.Assignments))
	for p := range parts {
		replicas, ok := byNumber[int32(p)]
		if !ok {
			return nil, failed(kafka.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence; %d is missing", p)
		}
		parts[p] = newPartition(im, replicas)
	}
	return parts, Result{}
}

// placed lets the controller choose the brokers.
func (c *Controller) placed(im *meta.Image, t *NewTopic) ([]meta.PartitionValue, Result) {
	partitions, factor := t.Partitions, t.ReplicationFactor
	switch {
	case factor < -1 || factor == 0:
		return nil, failed(kafka.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	case partitions < -1 || partitions == 0:
		return nil, failed(kafka.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if partitions == -1 {
		partitions = c.Settings.NumPartitions
	}
	if factor == -1 {
		factor = c.Settings.DefaultReplicationFactor
	}
	if partitions > c.Settings.PartitionsPerTopicMax {
		return nil, c.tooManyPartitions(t.Name, partitions)
	}
	return placeParts(im, t.Start, 0, partitions, int(factor))
}

func (c *Controller) tooManyPartitions(topic string, n int32) Result {
	return failed(kafka.PolicyViolation, "topic %s would have %d partitions, the limit of one topic is %d", topic, n, c.Settings.PartitionsPerTopicMax)
}

// placeParts makes the partitions from first on, count of them.
func placeParts(im *meta.Image, start uint32, first, count int32, factor int) ([]meta.PartitionValue, Result) {
	placed, err := place(im.Brokers(), start, first, count, factor)
	if err != nil {
		return nil, failed(kafka.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): %v", factor, err)
	}
	parts := make([]meta.PartitionValue, len(placed))
	for i, replicas := range placed {
		parts[i] = newPartition(im, replicas)
	}
	return parts, Result{}
}

// newPartition is a partition as it starts: in sync are the replicas that live, the first of them leads, all epochs are 0.
// At least one replica must be active.
func newPartition(im *meta.Image, replicas []kafka.NodeID) meta.PartitionValue {
	var isr []kafka.NodeID
	for _, id := range replicas {
		if b := im.Broker(id); b != nil && b.Active() {
			isr = append(isr, id)
		}
	}
	return meta.PartitionValue{Replicas: slices.Clone(replicas), ISR: isr, Leader: isr[0]}
}

func anyActive(im *meta.Image, replicas []kafka.NodeID) bool {
	return slices.ContainsFunc(replicas, func(id kafka.NodeID) bool {
		b := im.Broker(id)
		return b != nil && b.Active()
	})
}

func noneActive(partition int32) Result {
	return failed(kafka.InvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
}

// checkAssignment judges the replicas a client chose for one partition.
func checkAssignment(im *meta.Image, replicas []kafka.NodeID, factor int) Result {
	if len(replicas) == 0 {
		return failed(kafka.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	if len(replicas) > meta.MaxReplicas {
		return failed(kafka.InvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replicas, the limit is %d.", len(replicas), meta.MaxReplicas)
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if im.Broker(id) == nil {
			return failed(kafka.InvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return failed(kafka.InvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if len(replicas) != factor {
		return failed(kafka.InvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), factor)
	}
	return Result{}
}
