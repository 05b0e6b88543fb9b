package controller

import (
	"strconv"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// TopicRef names a topic by name or by id, exactly one of them.
type TopicRef struct {
	Name *string
	ID   kafka.TopicID
}

// DeleteTopicResult is what became of one topic. Name and ID are what the request gave and, on success, both.
type DeleteTopicResult struct {
	Name *string
	ID   kafka.TopicID
	Result
}

// DeleteTopics answers one result per topic: first those named once, in the order of the request, then the repeated ones.
//
// A topic that is named once by name and once by id is repeated, too: it is not deleted.
func (c *Controller) DeleteTopics(im *meta.Image, refs []TopicRef) ([]DeleteTopicResult, meta.Txn) {
	results := make([]DeleteTopicResult, 0, len(refs))
	var txn meta.Txn
	if !c.Settings.DeleteTopicEnable {
		for _, ref := range refs {
			results = append(results, DeleteTopicResult{ref.Name, ref.ID, failed(kafka.TopicDeletionDisabled, "topic deletion is disabled; set delete.topic.enable=true to allow it")})
		}
		return results, txn
	}
	keys := make([]string, len(refs)) // what a repetition is judged by
	for i, ref := range refs {
		switch {
		case (ref.Name == nil) == ref.ID.IsZero():
			keys[i] = "malformed " + strconv.Itoa(i) // repeats nothing
		case ref.Name != nil:
			keys[i] = "name " + *ref.Name
		default:
			keys[i] = "id " + ref.ID.Hex()
		}
	}
	once, repeated := splitRepeated(keys)
	byID := map[kafka.TopicID]bool{} // given by id, valid or repeated
	for _, ref := range refs {
		if ref.Name == nil {
			byID[ref.ID] = true
		}
	}
	byName := map[kafka.TopicID]bool{} // given by name
	for _, i := range once {
		if ref := refs[i]; ref.Name != nil && ref.ID.IsZero() {
			if t := im.Topic(*ref.Name); t != nil {
				byName[t.ID] = true
			}
		}
	}
	for _, i := range once {
		ref := refs[i]
		r := DeleteTopicResult{Name: ref.Name, ID: ref.ID}
		var t *meta.Topic
		switch {
		case ref.Name == nil && ref.ID.IsZero():
			r.Result = failed(kafka.InvalidRequest, "Neither topic name nor id were specified.")
		case ref.Name != nil && !ref.ID.IsZero():
			r.Result = failed(kafka.InvalidRequest, "You may not specify both topic name and topic id.")
		case ref.Name != nil:
			if t = im.Topic(*ref.Name); t == nil {
				r.Result = failedPlain(kafka.UnknownTopicOrPartition)
			} else if byID[t.ID] {
				r.ID = t.ID
				r.Result = failed(kafka.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
			}
		default:
			if t = im.TopicByID(ref.ID); t == nil {
				r.Result = failedPlain(kafka.UnknownTopicID)
			} else if byName[t.ID] {
				continue // its name carries the one result of both
			}
		}
		if r.OK() {
			r.Name, r.ID = &t.Name, t.ID
			txn.If = append(txn.If, meta.Cond{Key: meta.TopicKey(t.ID), Mod: t.ModRevision})
			txn.Do = append(txn.Do,
				meta.Delete(meta.TopicKey(t.ID)),
				meta.Delete(meta.NameKey(t.Name)),
				meta.Delete(meta.TopicConfigs(t.Name).Key()),
				meta.DeletePrefix(meta.PartitionsPrefix(t.ID)))
		}
		results = append(results, r)
	}
	for _, i := range repeated {
		r := DeleteTopicResult{Name: refs[i].Name, ID: refs[i].ID}
		if refs[i].Name != nil {
			r.Result = failed(kafka.InvalidRequest, "Duplicate topic name.")
		} else {
			r.Result = failed(kafka.InvalidRequest, "Duplicate topic id.")
		}
		results = append(results, r)
	}
	return results, txn
}

// CreatePartitionsRequest asks for more partitions.
type CreatePartitionsRequest struct {
	Topics       []MorePartitions
	ValidateOnly bool
}

// MorePartitions is one topic that shall have Count partitions in all.
type MorePartitions struct {
	Name        string
	Count       int32
	Assignments [][]kafka.NodeID // replicas of the new partitions, in order; nil: the controller places them

	Start uint32 // where placement starts; the driver fills it in with a random number
}

// CreatePartitions answers one result per name: first those named once, in the order of the request, then the repeated ones.
func (c *Controller) CreatePartitions(im *meta.Image, req CreatePartitionsRequest) ([]TopicResult, meta.Txn) {
	names := make([]string, len(req.Topics))
	total := int64(0)
	for i, t := range req.Topics {
		names[i] = t.Name
		if topic := im.Topic(t.Name); topic != nil {
			total += int64(max(0, t.Count-topic.NumPartitions()))
		}
	}
	once, repeated := splitRepeated(names)
	results := make([]TopicResult, 0, len(once)+len(repeated))
	var txn meta.Txn
	for _, i := range once {
		t := &req.Topics[i]
		r := TopicResult{Name: t.Name}
		topic := im.Topic(t.Name)
		var parts []meta.PartitionValue
		switch {
		case topic == nil:
			r.Result = failedPlain(kafka.UnknownTopicOrPartition)
		case t.Count > topic.NumPartitions() && total > int64(c.Settings.PartitionsPerRequestMax):
			r.Result = failed(kafka.PolicyViolation, "the request asks for %d new partitions, the limit of one request is %d; create fewer at a time", total, c.Settings.PartitionsPerRequestMax)
		default:
			parts, r.Result = c.addPartitions(im, topic, t)
		}
		if r.OK() {
			r.ID, r.Partitions, r.ReplicationFactor = topic.ID, t.Count, int16(len(parts[0].Replicas))
			txn.If = append(txn.If, meta.Cond{Key: meta.TopicKey(topic.ID), Mod: topic.ModRevision})
			txn.Do = append(txn.Do, meta.Put(meta.TopicKey(topic.ID), meta.EncodeTopic(topic.Name, t.Count)))
			for k := range parts {
				txn.Do = append(txn.Do, meta.Put(meta.PartitionKey(topic.ID, topic.NumPartitions()+int32(k)), meta.EncodePartition(parts[k])))
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

func (c *Controller) addPartitions(im *meta.Image, topic *meta.Topic, t *MorePartitions) ([]meta.PartitionValue, Result) {
	have := topic.NumPartitions()
	added := t.Count - have // negative counts stay negative: have is at least 1 and far from the edge
	switch {
	case t.Count == have:
		return nil, failed(kafka.InvalidPartitions, "Topic already has %d partition(s).", have)
	case t.Count < have:
		return nil, failed(kafka.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", topic.Name, have, t.Count)
	case t.Assignments != nil && len(t.Assignments) != int(added):
		return nil, failed(kafka.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but %d assignment(s) were specified.", added, len(t.Assignments))
	case t.Count > c.Settings.PartitionsPerTopicMax:
		return nil, c.tooManyPartitions(topic.Name, t.Count)
	}
	factor := len(topic.Partition(0).Replicas)
	if t.Assignments == nil {
		return placeParts(im, t.Start, have, added, factor)
	}
	parts := make([]meta.PartitionValue, added)
	for i, replicas := range t.Assignments {
		if r := checkAssignment(im, replicas, factor); !r.OK() {
			return nil, r
		}
		if !anyActive(im, replicas) {
			return nil, noneActive(have + int32(i))
		}
		parts[i] = newPartition(im, replicas)
	}
	return parts, Result{}
}
