package wire

import "encoding/binary"

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

// Decode reads a body. Memory grows with what is there, not with what a length claims.
func (q *ProduceRequest) Decode(version int16, body []byte) error {
	flex := flexible(KeyProduce, version)
	r := Reader{buf: body}
	*q = ProduceRequest{Topics: q.Topics[:0], Partitions: q.Partitions[:0]}
	q.TransactionalID = r.String(flex)
	q.Acks = r.Int16()
	q.TimeoutMs = r.Int32()
	for topics := r.ArrayLen(flex, minProduceTopic); topics > 0 && !r.bad; topics-- {
		t := ProduceTopic{Name: r.String(flex), First: len(q.Partitions)}
		for parts := r.ArrayLen(flex, minProducePartition); parts > 0 && !r.bad; parts-- {
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
		return badFrame("Produce v%d: body is cut short or a length in it is wrong", version)
	}
	return nil
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
