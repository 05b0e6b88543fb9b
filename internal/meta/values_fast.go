package meta

import (
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// A broker with 10,000 partitions reads 10,000 of these values when it starts, and encoding/json takes several microseconds
// and half a kilobyte for each. The two kinds that come in numbers are therefore first tried in exactly the form in which this
// build writes them; any other form, valid or not, is left to the strict decoder. FuzzValues holds the two together.

// fastReader walks over a value; ok turns false at the first byte that is not as expected, and stays so.
type fastReader struct {
	rest []byte
	ok   bool
}

func (r *fastReader) lit(s string) {
	if r.ok = r.ok && len(r.rest) >= len(s) && string(r.rest[:len(s)]) == s; r.ok {
		r.rest = r.rest[len(s):]
	}
}

func (r *fastReader) int32() int32 {
	neg := len(r.rest) > 0 && r.rest[0] == '-'
	i := 0
	if neg {
		i = 1
	}
	first, n := i, int64(0)
	for ; i < len(r.rest) && i-first < 10 && r.rest[i] >= '0' && r.rest[i] <= '9'; i++ {
		n = n*10 + int64(r.rest[i]-'0')
	}
	digits := i - first
	if neg {
		n = -n
	}
	if digits == 0 || (r.rest[first] == '0' && (digits > 1 || neg)) || n != int64(int32(n)) {
		r.ok = false
	}
	if !r.ok {
		return 0
	}
	r.rest = r.rest[i:]
	return int32(n)
}

func (r *fastReader) nodes() []kafka.NodeID {
	r.lit("[")
	if !r.ok {
		return nil
	}
	// Room for the whole list at once: it has one number more than commas.
	commas := 0
	for _, c := range r.rest {
		if c == ']' {
			break
		}
		if c == ',' {
			commas++
		}
	}
	ids := make([]kafka.NodeID, 0, min(commas+1, MaxReplicas))
	for r.ok {
		ids = append(ids, kafka.NodeID(r.int32()))
		if len(r.rest) == 0 || r.rest[0] != ',' || len(ids) > MaxReplicas {
			break
		}
		r.lit(",")
	}
	r.lit("]")
	return ids
}

// fastPartition reads what EncodePartition writes for a partition at rest.
func fastPartition(b []byte) (v PartitionValue, ok bool) {
	r := fastReader{b, true}
	r.lit(`{"v":1,"replicas":`)
	v.Replicas = r.nodes()
	r.lit(`,"isr":`)
	v.ISR = r.nodes()
	r.lit(`,"leader":`)
	v.Leader = kafka.NodeID(r.int32())
	r.lit(`,"leader_epoch":`)
	v.LeaderEpoch = r.int32()
	r.lit(`,"partition_epoch":`)
	v.PartitionEpoch = r.int32()
	r.lit(`}`)
	v.V = valueVersion
	return v, r.ok && len(r.rest) == 0
}

// fastTopic reads what EncodeTopic writes.
func fastTopic(b []byte) (v TopicValue, ok bool) {
	r := fastReader{b, true}
	r.lit(`{"v":1,"name":"`)
	end := 0
	for end < len(r.rest) && r.rest[end] != '"' {
		if c := r.rest[end]; c == '\\' || c < ' ' || c > '~' {
			return v, false
		}
		end++
	}
	v.Name = string(r.rest[:end])
	r.rest = r.rest[end:]
	r.lit(`","partitions":`)
	v.Partitions = r.int32()
	r.lit(`}`)
	v.V = valueVersion
	return v, r.ok && len(r.rest) == 0
}
