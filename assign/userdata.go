package assign

import "encoding/binary"

// Sticky members carry their memory in UserData, since they hold nothing while they join:
//
//	V0: previous_assignment [] {topic string, partitions []int32}
//	V1: V0, generation int32
//
// Cooperative-sticky members write the generation alone; what they own stands in the subscription itself.

// StickyUserData writes V1.
func StickyUserData(previous []TopicPartitions, generation int32) ([]byte, error) {
	b, err := appendTopicPartitions(nil, sorted(previous))
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(b, uint32(max(generation, NoGeneration))), nil
}

// CooperativeUserData writes the four bytes of cooperative-sticky.
func CooperativeUserData(generation int32) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(max(generation, NoGeneration)))
}

// DecodeStickyUserData reads V1 or V0. Bytes that are neither mean a member without memory, not an error: another client's idea of user
// data must not stop the group.
func DecodeStickyUserData(b []byte) (previous []TopicPartitions, generation int32) {
	if len(b) == 0 {
		return nil, NoGeneration
	}
	r := reader{b: b}
	previous = r.topicPartitions(new(Interner))
	if r.bad {
		return nil, NoGeneration
	}
	if len(r.b) < 4 {
		return previous, NoGeneration
	}
	return previous, max(r.int32(), NoGeneration)
}

// eachSticky calls fn with every topic and its raw partitions (four bytes each) in sticky user data, without allocating; it tells the
// generation first, which on the wire comes last. Nothing is called for bytes that are not sticky user data.
func eachSticky(b []byte, generation func(int32), fn func(topic, partitions []byte)) {
	if len(b) == 0 {
		return
	}
	r := reader{b: b}
	n := r.count(6)
	body := r.b
	for range n {
		r.stringBytes()
		r.take(4 * r.count(4))
	}
	if r.bad {
		return
	}
	gen := NoGeneration
	if len(r.b) >= 4 {
		gen = max(r.int32(), NoGeneration)
	}
	generation(gen)
	r = reader{b: body}
	for range n {
		topic := r.stringBytes()
		fn(topic, r.take(4*r.count(4)))
	}
}

// cooperativeGeneration is the generation of a cooperative member: from the subscription (v2 on), else from its user data. franz-go
// writes the user data of sticky here, so that is understood too.
func cooperativeGeneration(s *Subscription) int32 {
	if s.Generation >= 0 {
		return s.Generation
	}
	if len(s.UserData) == 4 {
		return max(int32(binary.BigEndian.Uint32(s.UserData)), NoGeneration)
	}
	_, gen := DecodeStickyUserData(s.UserData)
	return gen
}
