package config

import (
	"errors"
	"strings"
	"testing"
)

// Whatever is in a file, a start gets a usable configuration or an *Error, and the configuration describes itself.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		"listeners=A://[::1]:1,B://:0\nlistener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT", "advertised.listeners=PLAINTEXT://:1",
		"log.retention.hours=2147483647\nlog.roll.hours=2147483647", "max.connections.per.ip.overrides=[::1]:5,:", "log.dirs=a,,a",
		"log.retention.check.interval.ms=-9223372036854775808", "log.cleaner.min.cleanable.ratio=1e400", "cluster.id=\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Load(Args{
			ConfigFile: "f", ReadFile: func(string) ([]byte, error) { return []byte(text), nil },
			Hostname: func() (string, error) { return "", errors.New("no name") },
		})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || len(e.Faults) == 0 || c != nil {
				t.Fatalf("got %v with %v", err, c)
			}
			return
		}
		if len(c.Broker.Listeners) == 0 || len(c.Broker.LogDirs) == 0 || c.Broker.NodeID < 0 {
			t.Fatalf("got %+v", c.Broker)
		}
		for _, l := range c.Broker.Listeners {
			if l.Advertised && l.AdvertisedHost == "" || l.Port < 0 || l.Port > 65535 {
				t.Fatalf("got %+v", l)
			}
		}
		if tc := c.Topic(nil); tc.SegmentMs < 1 || tc.RetentionMs < -1 || tc.SegmentBytes < 1<<20 {
			t.Fatalf("got %+v", tc)
		}
		if len(c.DescribeBroker(nil)) != len(BrokerNames()) || len(c.DescribeTopic(nil, nil)) != len(TopicNames()) {
			t.Fatal("a row is missing")
		}
	})
}

// What a client sends as a topic setting is stored in a form that reads back the same, or refused in a bounded message.
func FuzzValidateTopic(f *testing.F) {
	c, _, err := Load(Args{})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range topicLevelRows {
		f.Add(r.Name, r.Default)
	}
	f.Add("cleanup.policy", ", delete ,,compact")
	f.Add("leader.replication.throttled.replicas", "0:1, 1:2")
	f.Add(strings.Repeat("retention.ms", 3000), "\xff")
	f.Fuzz(func(t *testing.T, name, value string) {
		got, err := c.ValidateTopic(map[string]*string{name: &value})
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		v := got[name]
		again, err := c.ValidateTopic(map[string]*string{name: &v})
		if err != nil || again[name] != v {
			t.Fatalf("%s=%q was stored as %q, which reads back as %q, %v", name, value, v, again[name], err)
		}
		c.Topic(got)
		c.DescribeTopic(got, nil)
	})
}
