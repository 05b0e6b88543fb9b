package explained

import "testing"

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "anything", true}, {"a*", "abc", true}, {"a*", "ba", false}, {"*c", "abc", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "a", false}, {"*.b[*].c", "x.b[1].c", true}, {"*.b[*].c", "x.b[1].d", false}, {"aa*a", "aa", false},
	} {
		if got := Glob(tc.pattern, tc.text); got != tc.want {
			t.Errorf("Glob(%q, %q) = %t", tc.pattern, tc.text, got)
		}
	}
}
