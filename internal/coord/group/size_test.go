package group

import (
	"testing"
	"unsafe"
)

// TestAMemberIsSmall: Go hands out memory in sizes, and the next is 144 bytes.
func TestAMemberIsSmall(t *testing.T) {
	if got := unsafe.Sizeof(member{}); got > 128 {
		t.Fatalf("a member takes %d bytes, want at most 128", got)
	}
}
