package check

import (
	"testing"
	"time"
)

// A checker that lets everything pass is worth nothing: each is shown what it must see.

func TestTwoOwnersAreSeen(t *testing.T) {
	var o Owners
	if err := o.Take(3, 1); err != nil {
		t.Fatal(err)
	}
	if err := o.Take(3, 1); err != nil {
		t.Errorf("it has it already: %v", err)
	}
	if err := o.Take(3, 2); err == nil {
		t.Error("a second owner passed")
	}
	o.Drop(3, 2)
	if m, ok := o.Owner(3); !ok || m != 1 {
		t.Errorf("who does not have it gave it up: %d, %v", m, ok)
	}
	o.Drop(3, 1)
	if err := o.Take(3, 2); err != nil {
		t.Errorf("nobody has it any more: %v", err)
	}
}

func TestACommitOfSomebodyElseIsSeen(t *testing.T) {
	var o Owners
	c := Commits{&o}
	if err := c.Accepted(1, 5, 10); err != nil {
		t.Errorf("nobody has it: %v", err)
	}
	if err := o.Take(1, 4); err != nil {
		t.Fatal(err)
	}
	if err := c.Accepted(1, 4, 10); err != nil {
		t.Errorf("its owner's: %v", err)
	}
	if err := c.Accepted(1, 5, 10); err == nil {
		t.Error("a commit of another member passed")
	}
}

func TestAGenerationThatDoesNotGrowIsSeen(t *testing.T) {
	var e Epochs
	bad := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s passed", what)
		}
	}
	good := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	good("the first", e.Joined(1))
	bad("the same again", e.Joined(1))
	good("the next", e.Joined(2))
	good("written", e.Written(2))
	bad("an older one written", e.Written(1))
	good("told", e.Told(7, 2, true))
	bad("told an older one", e.Told(7, 1, false))
	good("a new member of that number", e.Told(7, 1, true))
	good("joined, not written", e.Joined(3))
	e.Restarted()
	good("given again after a restart", e.Joined(3))
	bad("a written one given again", func() error { e.Restarted(); return e.Joined(2) }())
	e.Deleted()
	good("a group made anew", e.Joined(1))
}

func TestTimeThatIsMissingIsSeen(t *testing.T) {
	if err := Time(0, 10*time.Second, 5*time.Second, 2*time.Second, 3*time.Second); err != nil {
		t.Error(err)
	}
	for _, lived := range []time.Duration{9 * time.Second, 11 * time.Second} {
		if Time(0, lived, 5*time.Second, 2*time.Second, 3*time.Second) == nil {
			t.Errorf("%v passed", lived)
		}
	}
	if Time(0, 10*time.Second, -time.Second, 8*time.Second, 3*time.Second) == nil {
		t.Error("time below zero passed")
	}
}

func TestAGroupThatDoesNotHealIsSeen(t *testing.T) {
	p := Progress{Bound: time.Minute}
	if err := p.Healed(time.Minute, true, ""); err != nil {
		t.Error(err)
	}
	if err := p.Healed(59*time.Second, false, ""); err != nil {
		t.Errorf("too early to say: %v", err)
	}
	if p.Healed(time.Minute, false, "stuck") == nil {
		t.Error("a group that is stuck passed")
	}
}
