package check

import "fmt"

// Commits holds that an offset is accepted from a partition's owner only, and from nobody else while it has one.
type Commits struct {
	Owners *Owners
}

// Accepted is a commit that the coordinator took from a member.
func (c *Commits) Accepted(partition, member int32, offset int64) error {
	if has, ok := c.Owners.Owner(partition); ok && has != member {
		return fmt.Errorf("the coordinator took offset %d of partition %d from member %d while member %d has the partition", offset, partition, member, has)
	}
	return nil
}
