package driver

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// panicked logs what a panic of the core was about: the event or the record that it stumbled over, and the events of the shard before it. With the log up
// to its end, that repeats the panic unless it needs what the shard held beside its log, such as a rebalance under way; then the kinds of events that
// led there are what there is to go by. s.mu is held, and the runtime is as the panic left it.
func (s *shard) panicked(at string, p any) {
	const most = 8 << 10
	attrs := []any{"topic", s.part.Name.Topic, "partition", s.part.Name.Partition}
	var about any
	if ev := s.rt.Under(); ev != nil {
		about = ev
		attrs = append(attrs, "group", ev.EventGroup(), "event", ev.EventName())
	} else if r := s.reading.r; r != nil {
		about = r
		attrs = append(attrs, "group", r.GroupID(), "offset", s.reading.offset)
	}
	text, err := json.Marshal(about)
	if err != nil {
		text = []byte(err.Error())
	}
	now := s.c.now()
	var before []string
	for _, e := range s.rt.Recent() {
		before = append(before, fmt.Sprintf("%v ago %s %s", now.Since(e.At).Round(time.Millisecond), e.Event, e.Group))
	}
	s.c.cfg.Logger.Error("the group coordinator panicked; the groups of this partition are read again from the log, please report this",
		append(attrs, "at", at, "content", string(text[:min(len(text), most)]), "recent", strings.Join(before, ", "), "end", s.part.Log().EndOffset(),
			"panic", p, "stack", string(debug.Stack()))...)
}
