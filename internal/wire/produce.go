package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// ProduceRequest is a decoded Produce of version 3 to 11. It is made to be reused: Decode keeps the slices' room. All byte slices
// alias the request body.
type ProduceRequest struct {
	// TransactionalID is nil when null.
	TransactionalID []byte
	Acks            int16
	TimeoutMs       int32
	Topics          []ProduceTopic
	// Partitions holds the partitions of all topics, in the order of the request.
	Partitions []ProducePartition
}

// ProduceTopic names the partitions [First, First+Count) of the request.
type ProduceTopic struct {
	Name         []byte
	First, Count int
}

// ProducePartition is what is to be appended to one partition. Records is nil when null.
type ProducePartition struct {
	Index   int32
	Records []byte
}

const (
	minProduceTopic     = 3 // a name's length and an array's length, compact or not
	minProducePartition = 5 // an index and a length
)

// produceElementsMax bounds the topics and partitions of a body of n bytes, so that what is kept of each until the answer (192 bytes are
// enough: itself, its result, what it waits for) stays in proportion to the body. The smallest batch of one record makes 76 bytes of
// request; who sends much less, and thousands of it, brings no batches.
func produceElementsMax(n int) int { return (3*n + 64<<10) / elementWeight }

// Decode reads a body. Memory grows with what is there, not with what a length claims.
func (q *ProduceRequest) Decode(version int16, body []byte) error {
	flex := flexible(KeyProduce, version)
	r := Reader{buf: body}
	room := produceElementsMax(len(body))
	*q = ProduceRequest{Topics: q.Topics[:0], Partitions: q.Partitions[:0]}
	q.TransactionalID = r.String(flex)
	q.Acks = r.Int16()
	q.TimeoutMs = r.Int32()
	for topics := r.ArrayLen(flex, minProduceTopic); topics > 0 && !r.bad; topics-- {
		t := ProduceTopic{Name: r.String(flex), First: len(q.Partitions)}
		if room--; room < 0 {
			r.fail()
		}
		for parts := r.ArrayLen(flex, minProducePartition); parts > 0 && !r.bad; parts-- {
			if room--; room < 0 {
				r.fail()
				break
			}
			q.Partitions = append(q.Partitions, ProducePartition{Index: r.Int32(), Records: r.Bytes(flex)})
			if flex {
				r.SkipTags()
			}
		}
		if flex {
			r.SkipTags()
		}
		t.Count = len(q.Partitions) - t.First
		q.Topics = append(q.Topics, t)
	}
	if flex {
		r.SkipTags()
	}
	if r.bad {
		if room < 0 {
			return badFrame("Produce v%d: more partitions than a body of %d bytes can bring batches for", version, len(body))
		}
		return badFrame("Produce v%d: body is cut short or a length in it is wrong", version)
	}
	return nil
}

// Merge makes one partition of those that are named more than once, with what came last, as Kafka does: they bring one batch and get one answer.
// Topics that stand there twice become one. A request that names nothing twice is left as it is.
func (q *ProduceRequest) Merge() {
	if !q.repeats() {
		return
	}
	var topics []ProduceTopic
	var parts [][]ProducePartition // of each topic
	topicAt := map[string]int{}
	type key struct {
		topic int
		index int32
	}
	partAt := map[key]int{}
	for _, t := range q.Topics {
		n, known := topicAt[string(t.Name)]
		if !known {
			n = len(topics)
			topicAt[string(t.Name)] = n
			topics, parts = append(topics, ProduceTopic{Name: t.Name}), append(parts, nil)
		}
		for _, p := range q.Partitions[t.First : t.First+t.Count] {
			if old, known := partAt[key{n, p.Index}]; known {
				parts[n][old] = p
				continue
			}
			partAt[key{n, p.Index}] = len(parts[n])
			parts[n] = append(parts[n], p)
		}
	}
	q.Topics, q.Partitions = q.Topics[:0], q.Partitions[:0]
	for n, t := range topics {
		t.First, t.Count = len(q.Partitions), len(parts[n])
		q.Topics, q.Partitions = append(q.Topics, t), append(q.Partitions, parts[n]...)
	}
}

// repeats reports whether a topic, or a partition of a topic, stands in the request twice. A few are compared pair by pair, which needs no memory.
func (q *ProduceRequest) repeats() bool {
	const few = 16
	var names map[string]bool
	if len(q.Topics) > few {
		names = make(map[string]bool, len(q.Topics))
	}
	for i, t := range q.Topics {
		if names != nil {
			if names[string(t.Name)] {
				return true
			}
			names[string(t.Name)] = true
		} else if slices.ContainsFunc(q.Topics[:i], func(o ProduceTopic) bool { return bytes.Equal(o.Name, t.Name) }) {
			return true
		}
		if repeatsPartition(q.Partitions[t.First:t.First+t.Count], few) {
			return true
		}
	}
	return false
}

func repeatsPartition(parts []ProducePartition, few int) bool {
	ascending := true
	for i := 1; i < len(parts) && ascending; i++ {
		ascending = parts[i-1].Index < parts[i].Index
	}
	switch {
	case ascending:
		return false
	case len(parts) <= few:
		for i, p := range parts {
			if slices.ContainsFunc(parts[:i], func(o ProducePartition) bool { return o.Index == p.Index }) {
				return true
			}
		}
		return false
	}
	seen := make(map[int32]bool, len(parts))
	for _, p := range parts {
		if seen[p.Index] {
			return true
		}
		seen[p.Index] = true
	}
	return false
}

// ProduceResult answers one partition. The zero value of Message is "no message".
type ProduceResult struct {
	ErrorCode       int16
	BaseOffset      int64
	LogAppendTimeMs int64
	LogStartOffset  int64
	RecordErrors    []RecordError
	Message         string
	// LeaderID and LeaderEpoch travel (v10+) when LeaderKnown: where the client should go instead (KIP-951).
	LeaderKnown bool
	LeaderID    int32
	LeaderEpoch int32
}

// RecordError names one refused record of a batch by its position, and says why.
type RecordError struct {
	Index   int32
	Message string
}

// Endpoint is where a node can be reached (KIP-951).
type Endpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   *string
}

// AppendProduceResponse writes the body that answers q; results run parallel to q.Partitions.
func AppendProduceResponse(dst []byte, version int16, q *ProduceRequest, results []ProduceResult, endpoints []Endpoint) []byte {
	flex := flexible(KeyProduce, version)
	dst = appendArrayLen(dst, flex, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		dst = appendString(dst, flex, t.Name)
		dst = appendArrayLen(dst, flex, t.Count)
		for p := t.First; p < t.First+t.Count; p++ {
			dst = appendProduceResult(dst, version, flex, q.Partitions[p].Index, &results[p])
		}
		if flex {
			dst = append(dst, 0)
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, 0) // throttle_time_ms: quotas do not exist here
	if flex {
		dst = appendEndpointTag(dst, version >= 10, endpoints)
	}
	return dst
}

func appendProduceResult(dst []byte, version int16, flex bool, index int32, p *ProduceResult) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(index))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.ErrorCode))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.BaseOffset))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.LogAppendTimeMs))
	if version >= 5 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.LogStartOffset))
	}
	if version >= 8 {
		dst = appendArrayLen(dst, flex, len(p.RecordErrors))
		for _, e := range p.RecordErrors {
			dst = binary.BigEndian.AppendUint32(dst, uint32(e.Index))
			dst = appendNullableString(dst, flex, e.Message)
			if flex {
				dst = append(dst, 0)
			}
		}
		dst = appendNullableString(dst, flex, p.Message)
	}
	if !flex {
		return dst
	}
	if version >= 10 && p.LeaderKnown {
		dst = append(dst, 1, 0, 9)
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.LeaderID))
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.LeaderEpoch))
		return append(dst, 0)
	}
	return append(dst, 0)
}

// appendEndpointTag closes a response with its tags: tag 0 holds the endpoints, if there are any.
func appendEndpointTag(dst []byte, allowed bool, endpoints []Endpoint) []byte {
	if !allowed || len(endpoints) == 0 {
		return append(dst, 0)
	}
	var body []byte
	body = appendArrayLen(body, true, len(endpoints))
	for _, e := range endpoints {
		body = binary.BigEndian.AppendUint32(body, uint32(e.NodeID))
		body = appendString(body, true, []byte(e.Host))
		body = binary.BigEndian.AppendUint32(body, uint32(e.Port))
		if e.Rack == nil {
			body = append(body, 0)
		} else {
			body = appendString(body, true, []byte(*e.Rack))
		}
		body = append(body, 0)
	}
	dst = append(dst, 1, 0)
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

func appendArrayLen(dst []byte, compact bool, n int) []byte {
	if compact {
		return binary.AppendUvarint(dst, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

func appendString(dst []byte, compact bool, s []byte) []byte {
	if compact {
		dst = binary.AppendUvarint(dst, uint64(len(s))+1)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	}
	return append(dst, s...)
}

// appendNullableString writes "" as null: none of our messages is empty on purpose.
func appendNullableString(dst []byte, compact bool, s string) []byte {
	if s == "" {
		if compact {
			return append(dst, 0)
		}
		return append(dst, 0xff, 0xff)
	}
	if compact {
		dst = binary.AppendUvarint(dst, uint64(len(s))+1)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	}
	return append(dst, s...)
}
