package vfs

import "testing"

func TestSyncfsIsTrustedFromLinux517(t *testing.T) {
	for release, want := range map[string]bool{
		"5.17.0":           true,
		"5.17":             true,
		"5.17-rc1":         true,
		"6.1.0-13-amd64":   true,
		"10.0.0":           true,
		"5.16.20":          false,
		"5.8.0-53-generic": false,
		"4.4.0":            false,
		"":                 false,
		"six.one":          false,
		"6":                false,
	} {
		if got := kernelAtLeast(release, 5, 17); got != want {
			t.Errorf("kernelAtLeast(%q) = %v, want %v", release, got, want)
		}
	}
}
