package assign

import "testing"

// TestKeysDiffer: names that lie side by side in one buffer are not the same, though each is as long as the other.
func TestKeysDiffer(t *testing.T) {
	buffer := "t0t1t2tt0t1"
	var names []string
	for from := range buffer {
		for to := from; to <= len(buffer); to++ {
			names = append(names, buffer[from:to])
		}
	}
	for i := range names {
		for j := range names {
			if differ(&names[i], &names[j]) == 0 && names[i] != names[j] {
				t.Fatalf("%q is taken for %q", names[i], names[j])
			}
			if got, want := sameKey(&names[i], &names[j]), names[i] == names[j]; got != want {
				t.Fatalf("%q and %q: the same is %v", names[i], names[j], got)
			}
		}
	}
	ids := make([]TopicID, 0, 1+128)
	for bit := range 128 {
		var id TopicID
		id[bit/8] = 1 << (bit % 8)
		ids = append(ids, id)
	}
	ids = append(ids, TopicID{})
	for i := range ids {
		for j := range ids {
			if got, want := differ(&ids[i], &ids[j]) == 0, i == j; got != want {
				t.Fatalf("%x and %x: do not differ is %v", ids[i], ids[j], got)
			}
		}
	}
}
