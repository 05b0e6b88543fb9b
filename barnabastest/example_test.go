package barnabastest_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/barnabastest"
)

// t is what go test hands to a test function.
var t *testing.T

// TestExamples runs them: an example by itself has no t.
func TestExamples(real *testing.T) {
	t = real
	ExampleStart()
	ExampleInMemory()
}

// A broker on a free port of loopback, and a client that produces one record and reads it back.
func ExampleStart() {
	b := barnabastest.Start(t, barnabastest.Topic("orders", 3))
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap()...), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	r := &kgo.Record{Topic: "orders", Key: []byte("table 4"), Value: []byte("one coffee")}
	if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := client.PollFetches(t.Context()).Records()
	if len(got) != 1 || string(got[0].Value) != "one coffee" {
		t.Errorf("read %v", got)
	}
}

// A broker without a port: clients connect through its dialer. What was acknowledged is there after a kill.
func ExampleInMemory() {
	b := barnabastest.Start(t, barnabastest.InMemory(), barnabastest.Topic("orders", 1, "retention.ms", "-1"))
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap()...), kgo.Dialer(b.Dialer()), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("the bill")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b.Kill()
	b.Restart()
	got := client.PollFetches(t.Context()).Records()
	if len(got) != 1 || string(got[0].Value) != "the bill" {
		t.Errorf("read %v", got)
	}
}
