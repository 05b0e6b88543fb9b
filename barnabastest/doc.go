// Package barnabastest runs a whole Barnabas broker inside a Go test: the code that serves in production, on a free port of loopback or
// on a network in memory, started in milliseconds and gone with the test.
//
//	func TestOrders(t *testing.T) {
//		b := barnabastest.Start(t, barnabastest.Topic("orders", 3))
//		client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap()...))
//		...
//	}
//
// Any Kafka client works, in this process or in another. Each broker has a directory of its own (t.TempDir), so that tests may run in
// parallel. What the broker logs is shown only when the test fails.
//
// # What differs from production
//
// Nothing is forced to the disk. Requests go the whole way, group commit included (log.flush=commit), but where production waits for
// the drive a test does not: a test ends with its process, not with the power. What was acknowledged survives Restart and Kill. The admin
// port is off; With("admin.address", "127.0.0.1:0") turns it on.
//
// # In memory
//
// With InMemory no port is opened, and nothing outside of the test can connect. Clients need the broker's dialer:
//
//	b := barnabastest.Start(t, barnabastest.InMemory())
//	client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap()...), kgo.Dialer(b.Dialer()))
//
// This also works inside a testing/synctest bubble, where a poll that waits for half an hour takes no time. There the broker's clock is
// the bubble's: it begins in the year 2000, and so do record timestamps. Close clients before the bubble ends.
package barnabastest
