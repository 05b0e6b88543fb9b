package check

import (
	"fmt"
	"time"
)

// Progress holds that a group finds itself again: once nothing happens to it any more, everybody has what is theirs within a bound.
type Progress struct {
	Bound time.Duration
}

// Healed is the group's state some time after the last thing that happened to it.
func (p Progress) Healed(after time.Duration, settled bool, what string) error {
	if after >= p.Bound && !settled {
		return fmt.Errorf("%v after the last disturbance the group is not settled: %s", after, what)
	}
	return nil
}
