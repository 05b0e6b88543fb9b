package rig

import (
	"os"
	"testing"
)

// KindFromEnv is the broker that INTEROP_BROKER asks for: "barnabas" (the default) or "kafka", which proves the tests themselves. A test that
// asks for a broker whose parts are not installed fails with the command that installs them: it never passes by being skipped.
func KindFromEnv(t testing.TB) Kind {
	t.Helper()
	switch kind := Kind(os.Getenv("INTEROP_BROKER")); kind {
	case "", Barnabas:
		return Barnabas
	case Kafka:
		NeedKafkaJars(t)
		return Kafka
	default:
		t.Fatalf("INTEROP_BROKER=%s: want %s or %s", kind, Barnabas, Kafka)
		return ""
	}
}

// NeedKafkaJars fails the test when the Kafka jars are not there.
func NeedKafkaJars(t testing.TB) {
	t.Helper()
	if _, err := KafkaJars(); err != nil {
		t.Fatal(err)
	}
}
