package assign

import (
	"errors"
	"fmt"
)

// NoGeneration says that a member did not tell which generation its partitions come from.
const NoGeneration int32 = -1

// MaxPartitions is the largest number of partitions of all topics together that one call accepts. It bounds memory, since the counts
// come from the network; it is more than a cluster can hold.
const MaxPartitions = 1 << 24

// ErrTooLarge is returned for more than MaxPartitions partitions, members or topics.
var ErrTooLarge = errors.New("assign: too many partitions, members or topics")

// PartitionsOf names some partitions of one topic, which the classic protocol calls by its name and KIP-848 by its id.
type PartitionsOf[K string | TopicID] struct {
	Topic      K
	Partitions []int32
}

// TopicPartitions names some partitions of one topic.
type TopicPartitions = PartitionsOf[string]

// Subscription is what a member tells the leader when it joins: ConsumerProtocolSubscription.
type Subscription struct {
	Topics []string
	// UserData belongs to the assignor. nil = null on the wire, which differs from empty.
	UserData []byte
	// Owned is what the member holds while it joins. Eager members have given everything up by then, so theirs is empty.
	Owned []TopicPartitions
	// Generation is the one in which the member got Owned; below 0 (NoGeneration) = not told.
	Generation int32
	// Rack is the client's client.rack; "" = none. A member without a rack matches every partition.
	Rack string
}

// Member is one member of a group as its leader sees it.
type Member struct {
	ID string
	// InstanceID is group.instance.id; "" = a dynamic member.
	InstanceID string
	Subscription
}

// Topic is what the leader knows of a topic. A topic without partitions counts as unknown.
type Topic struct {
	Name       string
	Partitions int32
	// Racks lists, for each partition, the racks of all its replicas, also of those that are offline. nil = not known. Repeats are
	// harmless; "" is a replica without a rack and is skipped.
	Racks [][]string
}

// Assignment is what a member is told to read: ConsumerProtocolAssignment. Topics and partitions ascend.
type Assignment struct {
	Partitions []TopicPartitions
	UserData   []byte // none of the assignors here writes any; nil = null on the wire
}

// Len is the number of partitions in a.
func (a Assignment) Len() int {
	n := 0
	for i := range a.Partitions {
		n += len(a.Partitions[i].Partitions)
	}
	return n
}

// Assignor is one strategy of the classic protocol. Implementations keep no state: a value may be shared by goroutines.
type Assignor interface {
	// Name is the protocol name members must agree on: "range", "roundrobin", "sticky", "cooperative-sticky".
	Name() string
	// Cooperative says that members keep their partitions while they rejoin, and that Assign may hold partitions back for a second
	// round. A group is cooperative only if every assignor its members list is.
	Cooperative() bool
	// Subscribe makes the subscription to join with: topics wanted, partitions held (for Sticky: held until just now), the
	// generation they came from (NoGeneration before the first) and the rack ("" = none). Slices are not kept but shared.
	Subscribe(topics []string, owned []TopicPartitions, generation int32, rack string) Subscription
	// Assign answers one Assignment per member, at the member's index in members. The order of members and topics does not matter.
	// Of a member id or a topic that is listed twice the first one counts; the other members get nothing. The result may share memory
	// with members and topics (names, and lists of partitions that stay): change neither.
	//
	// Fails with ErrTooLarge only.
	Assign(members []Member, topics []Topic) ([]Assignment, error)
}

// Assignors lists the four in the order a client that prefers incremental rebalances would list them.
func Assignors() []Assignor {
	return []Assignor{CooperativeSticky{}, Sticky{}, Range{}, RoundRobin{}}
}

// ByName finds a classic assignor by its protocol name.
func ByName(name string) (Assignor, error) {
	for _, a := range Assignors() {
		if a.Name() == name {
			return a, nil
		}
	}
	return nil, fmt.Errorf("assign: no assignor is called %q; there are cooperative-sticky, sticky, range and roundrobin", name)
}
