package sim

import (
	"reflect"
	"runtime"
	"testing"
	"time"
)

// A run in which beats that can change nothing are skipped is the run in which none is, to the last number but the hash.
func TestSkippingChangesNothing(t *testing.T) {
	for _, client := range []string{"java", "librdkafka", "poll-heartbeat"} {
		for _, static := range []string{"false", "true"} {
			if client == "poll-heartbeat" && static == "true" {
				continue
			}
			for _, partitions := range []string{"50", "5"} { // with 5, two members have nothing to commit
				sc := parse(t, "duration: 20m\nmembers: [{count: 7}]\ntopics: [{partitions: "+partitions+", rate: 10}]\nevents: [{at: 10s, do: rolling, member: c, jitter: 3s}]", "client", client, "static", static)
				for seed := range uint64(3) {
					skipped, err := Run(sc, Options{Seed: seed})
					if err != nil {
						t.Fatal(err)
					}
					plain, err := Run(sc, Options{Seed: seed, Plain: true})
					if err != nil {
						t.Fatal(err)
					}
					skipped.Hash, plain.Hash = "", ""
					if !reflect.DeepEqual(skipped, plain) {
						t.Errorf("%s, static %s, %s partitions, seed %d:\n%+v\n%+v", client, static, partitions, seed, skipped, plain)
					}
				}
			}
		}
	}
}

const dayText = `
duration: 24h
topics: [{partitions: 1000, rate: 50}]
members: [{count: 100}]
events:
  - {at: 6h, do: restart, member: c007}
  - {at: 18h, do: crash, member: c008}
`

// A day of a hundred consumers with a thousand partitions is a second's work: what happens is played, the rest is integrated.
func TestADayOfAHundredConsumers(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	r := run(t, parse(t, dayText), 1)
	if r.Time != 24*time.Hour || r.Rebalances != 4 || r.Records-r.Duplicates != 24*3600*50*1000 || r.Sent() < 4_000_000 {
		t.Errorf("%+v", r)
	}
}

func BenchmarkADayOfAHundredConsumers(b *testing.B) {
	sc := parse(b, dayText)
	for b.Loop() {
		run(b, sc, 1)
	}
}

// A large group fits: what a run keeps grows with members and partitions, not with time.
func TestALargeGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	sc := parse(t, `
duration: 2m
topics: [{partitions: 10000, rate: 1, keys: 10}]
members: [{count: 1000, processing.time: 1us}]
warmup.spread: 0s
events:
  - {at: 10s, do: restart, member: c0007, down: 5s}
`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w, r := runWorld(t, sc, 1)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if r.Rebalances != 3 || r.LoadMax != 10 || r.LoadMin != 10 {
		t.Errorf("%d rebalances, %d to %d partitions", r.Rebalances, r.LoadMin, r.LoadMax)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 400<<20 {
		t.Errorf("%d MiB are held", grown>>20)
	}
	runtime.KeepAlive(w)
}
