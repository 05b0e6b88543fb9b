package assign

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

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

// inOneBuffer is the group as a leader has it that has cut all names out of one JoinGroup response, each once.
func (in instance) inOneBuffer() instance {
	var all []string
	for _, t := range in.topics {
		all = append(all, t.Name)
	}
	for _, m := range in.members {
		all = append(all, m.Topics...)
		for _, o := range m.Owned {
			all = append(all, o.Topic)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	buffer, cut := strings.Join(all, ""), map[string]string{}
	for _, name := range all {
		cut[name], buffer = buffer[:len(name)], buffer[len(name):]
	}
	in = instance{slices.Clone(in.members), slices.Clone(in.topics)}
	for i := range in.topics {
		in.topics[i].Name = cut[in.topics[i].Name]
	}
	for i := range in.members {
		m := &in.members[i]
		m.Topics, m.Owned = slices.Clone(m.Topics), slices.Clone(m.Owned)
		for j, name := range m.Topics {
			m.Topics[j] = cut[name]
		}
		for j := range m.Owned {
			m.Owned[j].Topic = cut[m.Owned[j].Topic]
		}
	}
	return in
}

// TestWhereNamesLieDoesNotMatter: names that lie side by side lead to the same plan as names that are far apart.
func TestWhereNamesLieDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawn(t)
		in.members = withMemory(in.members)
		if rapid.Bool().Draw(t, "settled") {
			plan, err := Sticky{}.Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			in.settled(plan)
			in.members = withMemory(in.members)
		}
		other := in.inOneBuffer()
		for _, a := range []Assignor{Range{}, RoundRobin{}, Sticky{}, CooperativeSticky{}, Sticky{JavaCompatible: true}} {
			want, err := a.Assign(in.members, in.topics)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Assign(other.members, other.topics)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: another plan:\n%s\n%v", a.Name(), diff, in)
			}
		}
	})
}
