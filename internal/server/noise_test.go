package server

import (
	"testing"
	"time"
)

func TestStrangersWriteTenLinesASecondAndTheRestIsCounted(t *testing.T) {
	var n noise
	now := time.Unix(1000, 0)
	for i := range 25 {
		if ok, left := n.allow(now); ok != (i < noisePerSecond) || left != 0 {
			t.Fatalf("line %d: written=%v, %d left out", i, ok, left)
		}
	}
	if ok, left := n.allow(now.Add(time.Second)); !ok || left != 15 {
		t.Fatalf("a second later: written=%v, %d left out, want 15", ok, left)
	}
	if ok, left := n.allow(now.Add(time.Second)); !ok || left != 0 {
		t.Fatalf("the next line: written=%v, %d left out, want none", ok, left)
	}
}
