package runtime

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// entry is an event: write so many records, and answer.
type entry struct {
	reply   coord.ReplyID
	records int
}

func (entry) EventGroup() string { return "" }
func (entry) EventName() string  { return "entry" }

// diary is a shard whose hard state is the names of its records, in order. Each record it writes has a name of its own.
type diary struct {
	from  int64 // the offset of pages[0]
	pages []string
	named *int
}

func (d *diary) Step(_ vtime.Instant, ev coord.Event) (fx coord.Effects) {
	e := ev.(entry)
	for range e.records {
		*d.named++
		fx.Records = append(fx.Records, &record.GroupMetadata{Group: fmt.Sprint(*d.named)})
	}
	fx.Replies = []coord.Reply{{To: e.reply, Body: d.from + int64(len(d.pages)+e.records)}}
	return fx
}

func (d *diary) Apply(offset int64, r record.Record) {
	if want := d.from + int64(len(d.pages)); offset != want {
		panic(fmt.Sprintf("applied at offset %d, want %d", offset, want))
	}
	d.pages = append(d.pages, r.(*record.GroupMetadata).Group)
}

func (d *diary) Restore(vtime.Instant) coord.Effects { return coord.Effects{} }

// TestWhatIsAnsweredIsInTheLog walks at random over a log that takes batches, makes them durable bit by bit, fails to append one while others are on
// their way, and loses power. An answer says how far the log must reach for it; no answer leaves before it does, nothing answered is ever lost, everybody
// is answered once, and whoever reads the log has what the shard had.
func TestWhatIsAnsweredIsInTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			log     []string // what was appended
			ends    []int    // where its steps end: a crash leaves no half of one
			durable int
			live    *diary
			named   int
			last    coord.ReplyID
			open    = map[coord.ReplyID]bool{}
			sure    []string // of the log, what somebody was told of
		)
		r := New(func() coord.Shard { live = &diary{named: &named}; return live })
		load := func() {
			r.Load()
			for i, name := range log {
				r.Replay(int64(i), &record.GroupMetadata{Group: name})
			}
			r.Loaded(0, int64(len(log)))
		}
		load()
		hear := func(t *rapid.T, out Output) {
			for _, a := range out.Replies {
				if !open[a.To] {
					t.Fatalf("request %d is answered twice", a.To)
				}
				delete(open, a.To)
				if end, ok := a.Body.(int64); ok {
					if int(end) > durable {
						t.Fatalf("request %d is answered at %d; durable is the log below %d", a.To, end, durable)
					}
					sure = append(sure, log[len(sure):max(int(end), len(sure))]...)
				} else if a.Body != (coord.Refused{Code: kafka.NotCoordinator}) {
					t.Fatalf("request %d is answered %v", a.To, a.Body)
				}
			}
		}
		// write appends so many steps of a batch.
		write := func(t *rapid.T, b Batch, steps int) {
			if b.BaseOffset != int64(len(log)) {
				t.Fatalf("a batch for offset %d, the log ends at %d", b.BaseOffset, len(log))
			}
			for _, step := range b.Steps[:steps] {
				for _, rec := range step {
					log = append(log, rec.(*record.GroupMetadata).Group)
				}
				ends = append(ends, len(log))
			}
		}
		drop := func(t *rapid.T) {
			hear(t, r.Drop())
			if len(open) > 0 {
				t.Fatalf("a drop left %v without an answer", open)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"request": func(t *rapid.T) {
				last++
				open[last] = true
				hear(t, r.Request(0, last, entry{last, rapid.IntRange(0, 3).Draw(t, "records")}))
			},
			"append": func(t *rapid.T) {
				if b, ok := r.Batch(); ok {
					write(t, b, len(b.Steps))
				}
			},
			"flush": func(t *rapid.T) {
				durable = rapid.IntRange(durable, len(log)).Draw(t, "durable")
			},
			"news of a flush": func(t *rapid.T) {
				hear(t, r.Committed(int64(durable)))
			},
			"failed append": func(t *rapid.T) {
				b, ok := r.Batch()
				if !ok {
					return
				}
				write(t, b, rapid.IntRange(0, len(b.Steps)-1).Draw(t, "steps that are in the log all the same"))
				drop(t)
				durable = len(log) // it is read once all of it is durable
				load()
			},
			"power cut": func(t *rapid.T) {
				drop(t) // its answers reach nobody
				// What was not flushed may be on the disk all the same, up to some step; the bytes of one step are one write.
				cuts := append([]int{0}, ends...)
				least, _ := slices.BinarySearch(cuts, durable)
				keep := cuts[rapid.IntRange(least, len(ends)).Draw(t, "steps kept")]
				log = log[:keep]
				ends = slices.DeleteFunc(ends, func(end int) bool { return end > keep })
				durable = keep
				load()
			},
			"": func(t *rapid.T) {
				if len(sure) > len(log) || !slices.Equal(sure, log[:len(sure)]) {
					t.Fatalf("%q was answered, the log is %q", sure, log)
				}
				if len(live.pages) < len(log) || !slices.Equal(live.pages[:len(log)], log) {
					t.Fatalf("the shard has %q, the log %q", live.pages, log)
				}
				if r.Settled() && len(open) > 0 {
					t.Fatalf("%v wait although everything is committed", open)
				}
			},
		})
	})
}
