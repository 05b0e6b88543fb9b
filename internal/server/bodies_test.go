package server

import "testing"

func TestBufferClassesHoldWhatTheyAreForAndLittleMore(t *testing.T) {
	last := -1
	for n := 0; n <= pooledMax; n += 511 {
		class, size := classOf(n)
		if size < n || size > max(n+n/4+4, 1<<minBodyShift) {
			t.Fatalf("%d bytes get a buffer of %d", n, size)
		}
		if again, same := classOf(size); again != class || same != size {
			t.Fatalf("a buffer of %d is of class %d, %d when it comes back", size, class, again)
		}
		if class < last || class >= len(bodyPool.classes) {
			t.Fatalf("%d bytes are class %d after %d", n, class, last)
		}
		last = class
	}
	var p bodies
	b := p.get(100_000)
	p.put(b)
	if big := p.get(3 << 20); cap(big) != 3<<20 {
		t.Errorf("3 MiB get a buffer of %d", cap(big))
	}
}
