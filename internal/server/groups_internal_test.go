package server

import (
	"regexp"
	"testing"
)

// Tools compare a member's host with what Java writes.
func TestHostsAreWrittenAsJavaDoes(t *testing.T) {
	for ip, want := range map[string]string{ // any order: independent
		"127.0.0.1":         "/127.0.0.1",
		"::1":               "/0:0:0:0:0:0:0:1",
		"2001:db8::a0b:c":   "/2001:db8:0:0:0:0:a0b:c",
		"::ffff:10.1.2.3":   "/10.1.2.3",
		"fe80::1%eth0":      "/fe80:0:0:0:0:0:0:1%eth0",
		"bufconn":           "/bufconn",
		"":                  "/",
		"255.255.255.255":   "/255.255.255.255",
		"2001:db8:0:1::":    "/2001:db8:0:1:0:0:0:0",
		"ffff::ffff:ffff:1": "/ffff:0:0:0:0:ffff:ffff:1",
	} {
		if got := (&conn{ip: ip}).host(); got != want {
			t.Errorf("%q is written %q, want %q", ip, got, want)
		}
	}
}

func TestFreshIDsAreRandomUUIDs(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := freshID()
		if !shape.MatchString(id) || seen[id] {
			t.Fatalf("%q, after %d others", id, len(seen))
		}
		seen[id] = true
	}
}

func TestSoftwareIsNameAndVersion(t *testing.T) {
	for _, c := range []struct{ name, version, want string }{{"", "", ""}, {"apache-kafka-java", "4.3.1", "apache-kafka-java 4.3.1"}, {"x", "", "x"}} {
		if got := (&conn{softwareName: c.name, softwareVersion: c.version}).software(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
