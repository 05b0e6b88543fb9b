package check

import "fmt"

// Epochs holds that generations grow: of the group, and of each member as it is told them. A coordinator that restarts may give a generation a
// second time if the first never got as far as the log.
type Epochs struct {
	joined  int32
	written int32
	told    map[int32]int32
}

// Joined is a join phase that ended.
func (e *Epochs) Joined(generation int32) error {
	if generation <= e.joined {
		return fmt.Errorf("generation %d after generation %d", generation, e.joined)
	}
	e.joined = generation
	return nil
}

// Written is an assignment, or emptiness, that reached the log.
func (e *Epochs) Written(generation int32) error {
	if generation < e.written {
		return fmt.Errorf("generation %d is written after generation %d", generation, e.written)
	}
	e.written = generation
	return nil
}

// Told is a member hearing its generation; fresh is a member that was not one before, or was put out meanwhile.
func (e *Epochs) Told(member, generation int32, fresh bool) error {
	if e.told == nil {
		e.told = map[int32]int32{}
	}
	if last, ok := e.told[member]; ok && !fresh && generation < last {
		return fmt.Errorf("member %d is told generation %d after %d", member, generation, last)
	}
	e.told[member] = generation
	return nil
}

// Deleted is the group being forgotten, with all its generations: it had neither members nor offsets, or somebody asked for it.
func (e *Epochs) Deleted() { *e = Epochs{} }

// Restarted is a coordinator that came back with what was written; what was not is forgotten.
func (e *Epochs) Restarted() {
	e.joined = e.written
	e.told = nil
}
