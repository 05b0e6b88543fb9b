package assign

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestWhatOneCallUsedTheNextOneMayUse: calls use the memory of earlier ones, of larger groups and smaller, of such that were refused. No
// answer may change with that, neither the one before nor the one after.
func TestWhatOneCallUsedTheNextOneMayUse(t *testing.T) {
	type answer struct {
		members []Member
		topics  []Topic
		plan    []Assignment
		shown   string
	}
	var answers []answer
	for seed := range uint64(300) {
		g := &generator{Rand: rand.New(rand.NewPCG(11, seed)), equal: seed%2 == 0, racks: seed%8 == 7}
		in := g.fresh()
		if seed%50 == 0 {
			in.members, in.topics = drawGroup(300, 3000, 30, []string{"half", "equal"}[seed/50%2])
		}
		if seed%3 > 0 {
			g.scattered(&in)
		}
		plan, err := CooperativeSticky{}.Assign(in.members, in.topics)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer{in.members, in.topics, plan, fmt.Sprint(plan)})
	}
	for i, a := range answers {
		if got := fmt.Sprint(a.plan); got != a.shown {
			t.Fatalf("answer %d was\n%s\nand became, when others were asked for,\n%s", i, a.shown, got)
		}
	}
	for i := len(answers) - 1; i >= 0; i-- {
		plan, err := CooperativeSticky{}.Assign(answers[i].members, answers[i].topics)
		if got := fmt.Sprint(plan); err != nil || got != answers[i].shown {
			t.Fatalf("question %d was answered\n%s\nand the second time, %v,\n%s", i, answers[i].shown, err, got)
		}
	}
}

// TestMemoryIsEmptyBetweenCalls: chunks come back as zeros, too large ones are not kept, and a refused call after one of those is only refused.
func TestMemoryIsEmptyBetweenCalls(t *testing.T) {
	c := new(classic)
	call := func(partitions int32) error {
		defer c.roster.end()
		err := c.number([]Member{{ID: "m", Subscription: Subscription{Topics: []string{"t"}}}}, []Topic{{Name: "t", Partitions: partitions}}, false, 0)
		if err == nil {
			c.deal(c.components())
		}
		return err
	}
	for _, partitions := range []int32{5, 2 * keptInts, MaxPartitions + 1, 5, 100, MaxPartitions + 1, 50} {
		err := call(partitions)
		if want := partitions > MaxPartitions; errors.Is(err, ErrTooLarge) != want {
			t.Fatalf("%d partitions: %v", partitions, err)
		}
		if n := len(c.space.chunk); n > keptInts {
			t.Fatalf("after %d partitions a chunk of %d is kept", partitions, n)
		}
		for i, x := range c.space.chunk {
			if x != 0 {
				t.Fatalf("after %d partitions, %d at %d", partitions, x, i)
			}
		}
		if c.input = nil; c.classTopics != nil || c.protocol != nil || len(c.keys) > 0 || cap(c.keys) > 0 && c.keys[:1][0] != "" {
			t.Fatalf("after %d partitions something of the caller's is kept: %+v", partitions, c.roster)
		}
	}
}
