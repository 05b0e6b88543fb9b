package check

import (
	"fmt"
	"time"
)

// Time holds that every moment of a partition is told as exactly one of: read by its owner, read by a member that was put out, read by nobody.
func Time(partition int32, lived, owned, fenced, paused time.Duration) error {
	if owned < 0 || fenced < 0 || paused < 0 || owned+fenced+paused != lived {
		return fmt.Errorf("partition %d lived %v: owned %v, fenced %v, paused %v do not add up to it", partition, lived, owned, fenced, paused)
	}
	return nil
}
