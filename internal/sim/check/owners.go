package check

import "fmt"

// Owners holds that a partition has one unfenced owner at most. A member is unfenced as long as the coordinator counts it in; one that it has
// put out may go on reading for a while, and is not an owner then.
type Owners struct {
	owner map[int32]int32 // partition -> member
}

// Take is a member getting a partition.
func (o *Owners) Take(partition, member int32) error {
	if o.owner == nil {
		o.owner = map[int32]int32{}
	}
	if has, ok := o.owner[partition]; ok && has != member {
		return fmt.Errorf("partition %d goes to member %d while member %d, which nobody put out, still has it", partition, member, has)
	}
	o.owner[partition] = member
	return nil
}

// Drop is a member giving a partition up, or being fenced.
func (o *Owners) Drop(partition, member int32) {
	if o.owner[partition] == member {
		delete(o.owner, partition)
	}
}

// Owner is who has the partition; not ok for nobody.
func (o *Owners) Owner(partition int32) (member int32, ok bool) {
	member, ok = o.owner[partition]
	return member, ok
}
