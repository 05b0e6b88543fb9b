package wire

import "encoding/binary"

// FetchTopic is one topic of a Fetch response: the partitions [First, First+Count) of the list handed to AppendFetchResponse.
type FetchTopic struct {
	Name         string
	ID           [16]byte
	First, Count int
}

// FetchPartition is one partition of a Fetch response. Its record bytes are not here: Records is their number, and they are sent
// from where they lie.
type FetchPartition struct {
	Index            int32
	ErrorCode        int16
	HighWatermark    int64
	LastStableOffset int64
	LogStartOffset   int64
	Records          int
	// Aborted lists aborted transactions for read_committed; nil is null (read_uncommitted).
	Aborted []AbortedTxn
	// Diverging (v12+) tells a reader where its history leaves ours.
	DivergingKnown  bool
	DivergingEpoch  int32
	DivergingEnd    int64
	LeaderKnown     bool
	LeaderID        int32
	LeaderEpoch     int32
	PreferredReader int32
}

// AbortedTxn is a transaction whose records a read_committed reader must skip.
type AbortedTxn struct{ ProducerID, FirstOffset int64 }

// FetchResponse is the frame of a Fetch response around record bytes.
type FetchResponse struct {
	ErrorCode  int16
	SessionID  int32
	Topics     []FetchTopic
	Partitions []FetchPartition
	Endpoints  []Endpoint
}

// Cut says that the record bytes of the partition at Index of FetchResponse.Partitions follow the first At bytes of the buffer.
type Cut struct {
	At    int
	Index int
}

// AppendFetchResponse writes everything of the body but the record bytes. The cuts, in ascending order, say where those belong;
// a partition without records has none.
func AppendFetchResponse(dst []byte, cuts []Cut, version int16, f *FetchResponse) ([]byte, []Cut) {
	flex := flexible(KeyFetch, version)
	dst = binary.BigEndian.AppendUint32(dst, 0) // throttle_time_ms
	if version >= 7 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(f.ErrorCode))
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.SessionID))
	}
	dst = appendArrayLen(dst, flex, len(f.Topics))
	for i := range f.Topics {
		t := &f.Topics[i]
		if version >= 13 {
			dst = append(dst, t.ID[:]...)
		} else {
			dst = appendString(dst, flex, []byte(t.Name))
		}
		dst = appendArrayLen(dst, flex, t.Count)
		for p := t.First; p < t.First+t.Count; p++ {
			row := &f.Partitions[p]
			dst = appendFetchPartition(dst, version, flex, row)
			if row.Records > 0 {
				cuts = append(cuts, Cut{At: len(dst), Index: p})
			}
			if flex {
				dst = appendFetchPartitionTags(dst, row)
			}
		}
		if flex {
			dst = append(dst, 0)
		}
	}
	if flex {
		dst = appendEndpointTag(dst, version >= 16, f.Endpoints)
	}
	return dst, cuts
}

// appendFetchPartition writes a row up to and including the length of its records.
func appendFetchPartition(dst []byte, version int16, flex bool, p *FetchPartition) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Index))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.ErrorCode))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.HighWatermark))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.LastStableOffset))
	if version >= 5 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.LogStartOffset))
	}
	switch {
	case p.Aborted != nil:
		dst = appendArrayLen(dst, flex, len(p.Aborted))
		for _, a := range p.Aborted {
			dst = binary.BigEndian.AppendUint64(dst, uint64(a.ProducerID))
			dst = binary.BigEndian.AppendUint64(dst, uint64(a.FirstOffset))
			if flex {
				dst = append(dst, 0)
			}
		}
	case flex:
		dst = append(dst, 0)
	default:
		dst = append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	if version >= 11 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.PreferredReader))
	}
	// Never null, even without records: librdkafka takes a null field for a malformed response.
	return appendArrayLen(dst, flex, p.Records)
}

func appendFetchPartitionTags(dst []byte, p *FetchPartition) []byte {
	n := byte(0)
	if p.DivergingKnown {
		n++
	}
	if p.LeaderKnown {
		n++
	}
	dst = append(dst, n)
	if p.DivergingKnown {
		dst = append(dst, 0, 13)
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.DivergingEpoch))
		dst = binary.BigEndian.AppendUint64(dst, uint64(p.DivergingEnd))
		dst = append(dst, 0)
	}
	if p.LeaderKnown {
		dst = append(dst, 1, 9)
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.LeaderID))
		dst = binary.BigEndian.AppendUint32(dst, uint32(p.LeaderEpoch))
		dst = append(dst, 0)
	}
	return dst
}
