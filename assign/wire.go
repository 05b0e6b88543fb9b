package assign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Highest versions of the two blobs that we write. A blob of a higher version is read with the layout of the highest one we know, and
// what follows is ignored: KIP-429 promises that fields are only ever added at the end.
const (
	SubscriptionVersion int16 = 3
	AssignmentVersion   int16 = 3
)

// errShort is wrapped into every error about bytes that end too early or lengths that lie.
var errShort = errors.New("ends too early, or holds an impossible length")

// reader walks a blob. The first fault sticks, and reads after it give zero values.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) int16() int16 {
	if v := r.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *reader) int32() int32 {
	if v := r.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (r *reader) stringBytes() []byte { return r.take(int(r.int16())) }

// nullableString answers "" for null: nobody tells an empty rack from none.
func (r *reader) nullableString() string {
	n := r.int16()
	if n == -1 {
		return ""
	}
	return string(r.take(int(n)))
}

func (r *reader) nullableBytes() []byte {
	n := r.int32()
	if n == -1 || r.bad {
		return nil
	}
	v := r.take(int(n))
	if r.bad {
		return nil
	}
	return append([]byte{}, v...)
}

// count reads an array's length and refuses one that the bytes left cannot hold, so that nothing is allocated for a lie.
func (r *reader) count(elementBytes int) int {
	n := int(r.int32())
	if n < 0 || n > len(r.b)/elementBytes {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

func (r *reader) topicPartitions(names *Interner) []TopicPartitions {
	n := r.count(6)
	if n == 0 {
		return nil
	}
	tps := make([]TopicPartitions, 0, n)
	for range n {
		name := names.name(r.stringBytes())
		k := r.count(4)
		raw := r.take(4 * k)
		if r.bad {
			return nil
		}
		parts := make([]int32, k)
		for i := range parts {
			parts[i] = int32(binary.BigEndian.Uint32(raw[4*i:]))
		}
		tps = append(tps, TopicPartitions{name, parts})
	}
	return tps
}

// Interner decodes the blobs of one group and shares what they repeat: topic names, and whole topic lists. A group of ten thousand
// members that all subscribe to the same thousand topics then holds one list instead of ten million strings, and the assignors see that
// the lists are the same without reading them. The zero value is ready. It grows with what it decodes: use one per rebalance.
type Interner struct {
	names map[string]string
	lists map[string][]string
	// last saves hashing the list when neighbours agree, as they nearly always do.
	lastKey  string
	lastList []string
}

func (in *Interner) name(b []byte) string {
	if in.names == nil {
		in.names = make(map[string]string)
	}
	if s, ok := in.names[string(b)]; ok {
		return s
	}
	s := string(b)
	in.names[s] = s
	return s
}

// topics reads a list of topics, or finds that it has read the same bytes before.
func (in *Interner) topics(r *reader) []string {
	start := r.b
	n := r.count(2)
	for range n {
		r.stringBytes()
	}
	if r.bad {
		return nil
	}
	key := start[:len(start)-len(r.b)]
	if in.lastList != nil && string(key) == in.lastKey {
		return in.lastList
	}
	list, ok := in.lists[string(key)]
	if !ok {
		list = make([]string, n)
		again := reader{b: key[4:]}
		for i := range list {
			list[i] = in.name(again.stringBytes())
		}
		if in.lists == nil {
			in.lists = make(map[string][]string)
		}
		in.lists[string(key)] = list
	}
	in.lastKey, in.lastList = string(key), list
	return list
}

// DecodeSubscription reads a member's metadata of any version. Lists it returns may be shared with other results and must not be
// changed.
func (in *Interner) DecodeSubscription(b []byte) (Subscription, error) {
	r := reader{b: b}
	version := r.int16()
	if r.bad || version < 0 {
		return Subscription{}, fmt.Errorf("assign: subscription of %d bytes: version %d: %w", len(b), version, errShort)
	}
	s := Subscription{Generation: NoGeneration}
	s.Topics = in.topics(&r)
	s.UserData = r.nullableBytes()
	if r.bad {
		return Subscription{}, fmt.Errorf("assign: subscription v%d of %d bytes: %w", version, len(b), errShort)
	}
	if version >= 1 {
		// Some clients say v1 and leave the field out.
		if version == 1 && len(r.b) == 0 {
			return s, nil
		}
		s.Owned = r.topicPartitions(in)
		if r.bad && version == 1 {
			s.Owned = nil
			return s, nil
		}
	}
	if version >= 2 {
		s.Generation = max(r.int32(), NoGeneration)
	}
	if version >= 3 {
		s.Rack = r.nullableString()
	}
	if r.bad {
		return Subscription{}, fmt.Errorf("assign: subscription v%d of %d bytes: %w", version, len(b), errShort)
	}
	return s, nil
}

// DecodeSubscription reads one member's metadata. Use an Interner for a whole group.
func DecodeSubscription(b []byte) (Subscription, error) { return new(Interner).DecodeSubscription(b) }

// DecodeAssignment reads what a member was told. No bytes at all is an empty assignment: coordinators answer so when there is none.
func DecodeAssignment(b []byte) (Assignment, error) {
	if len(b) == 0 {
		return Assignment{}, nil
	}
	r := reader{b: b}
	version := r.int16()
	if r.bad || version < 0 {
		return Assignment{}, fmt.Errorf("assign: assignment of %d bytes: version %d: %w", len(b), version, errShort)
	}
	var a Assignment
	a.Partitions = r.topicPartitions(new(Interner))
	a.UserData = r.nullableBytes()
	if r.bad {
		return Assignment{}, fmt.Errorf("assign: assignment v%d of %d bytes: %w", version, len(b), errShort)
	}
	return a, nil
}

// errName is about a string that the wire's int16 length cannot hold.
func errName(s string) error {
	return fmt.Errorf("assign: a name of %d bytes cannot be written; at most %d fit", len(s), math.MaxInt16)
}

func appendString(dst []byte, s string) ([]byte, error) {
	if len(s) > math.MaxInt16 {
		return nil, errName(s)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...), nil
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

func appendTopicPartitions(dst []byte, tps []TopicPartitions) ([]byte, error) {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(tps)))
	var err error
	for _, tp := range tps {
		if dst, err = appendString(dst, tp.Topic); err != nil {
			return nil, err
		}
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(tp.Partitions)))
		for _, p := range tp.Partitions {
			dst = binary.BigEndian.AppendUint32(dst, uint32(p))
		}
	}
	return dst, nil
}

// sorted returns tps ordered by topic and partition, copying only when it must.
func sorted(tps []TopicPartitions) []TopicPartitions {
	byTopic := func(a, b TopicPartitions) int { return compareNames(a.Topic, b.Topic) }
	copied := false
	if !slices.IsSortedFunc(tps, byTopic) {
		tps, copied = slices.Clone(tps), true
		slices.SortStableFunc(tps, byTopic)
	}
	for i := range tps {
		if slices.IsSorted(tps[i].Partitions) {
			continue
		}
		if !copied {
			tps, copied = slices.Clone(tps), true
		}
		tps[i].Partitions = slices.Sorted(slices.Values(tps[i].Partitions))
	}
	return tps
}

// AppendSubscription writes s in the given version (0 to SubscriptionVersion), topics and owned partitions sorted: the coordinator
// compares the bytes to see whether a member that rejoins has changed, so the same content must give the same bytes (KAFKA-12898).
func AppendSubscription(dst []byte, s Subscription, version int16) ([]byte, error) {
	if version < 0 || version > SubscriptionVersion {
		return nil, fmt.Errorf("assign: no subscription version %d; versions 0 to %d can be written", version, SubscriptionVersion)
	}
	topics := s.Topics
	if !slices.IsSortedFunc(topics, compareNames) {
		topics = slices.Clone(topics)
		slices.SortFunc(topics, compareNames)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(topics)))
	var err error
	for _, t := range topics {
		if dst, err = appendString(dst, t); err != nil {
			return nil, err
		}
	}
	dst = appendBytes(dst, s.UserData)
	if version >= 1 {
		if dst, err = appendTopicPartitions(dst, sorted(s.Owned)); err != nil {
			return nil, err
		}
	}
	if version >= 2 {
		dst = binary.BigEndian.AppendUint32(dst, uint32(max(s.Generation, NoGeneration)))
	}
	if version >= 3 {
		if s.Rack == "" {
			return binary.BigEndian.AppendUint16(dst, math.MaxUint16), nil
		}
		return appendString(dst, s.Rack)
	}
	return dst, nil
}

// AppendAssignment writes a in the given version (0 to AssignmentVersion; the layout never changed). Order is kept as it is.
func AppendAssignment(dst []byte, a Assignment, version int16) ([]byte, error) {
	if version < 0 || version > AssignmentVersion {
		return nil, fmt.Errorf("assign: no assignment version %d; versions 0 to %d can be written", version, AssignmentVersion)
	}
	dst, err := appendTopicPartitions(binary.BigEndian.AppendUint16(dst, uint16(version)), a.Partitions)
	if err != nil {
		return nil, err
	}
	return appendBytes(dst, a.UserData), nil
}
