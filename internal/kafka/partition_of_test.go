package kafka

import "testing"

// The hashes are Java's: "polygenelubricants".hashCode() is the smallest int, whose absolute value does not exist.
func TestPartitionOfIsJavas(t *testing.T) {
	for _, c := range []struct {
		key  string
		n    int32
		want int32
	}{
		{"", 50, 0}, {"a", 50, 97 % 50}, {"my-group", 50, 12}, {"polygenelubricants", 50, 0}, {"\U0001F600", 50, 1772899 % 50}, {"console-consumer-1", 1, 0},
	} {
		if got := PartitionOf(c.key, c.n); got != c.want {
			t.Errorf("PartitionOf(%q, %d) = %d, want %d", c.key, c.n, got, c.want)
		}
	}
}
