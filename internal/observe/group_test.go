package observe

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/journal"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vtime"
)

// A verdict may be amended when much has happened since: the revision belongs to its incident, however far back that is.
func TestALateRevisionFindsItsIncident(t *testing.T) {
	var r Reading
	add := func(id string, rev int) {
		t.Helper()
		key, value, err := journal.Encode(journal.Incident{Schema: journal.Schema, ID: id, Rev: rev, Group: "g", Kind: journal.Rebalance, Stage: journal.Closed})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.incident("g", &kgo.Record{Key: key, Value: value, Timestamp: time.Unix(1, 0)}); !ok {
			t.Fatalf("%s, rev %d, is not taken", id, rev)
		}
	}
	const n = 1000
	for i := range n {
		add(fmt.Sprint("incident-", i), 2)
	}
	add("incident-0", 3)
	add("incident-1", 1) // an older one changes nothing
	if len(r.Incidents) != n || r.Incidents[0].Rev != 3 || r.Incidents[1].Rev != 2 {
		t.Errorf("%d incidents, the first in rev %d, the second in rev %d", len(r.Incidents), r.Incidents[0].Rev, r.Incidents[1].Rev)
	}
}

// The last rebalance of a long history is told by a look at its end: what is read does not grow with what lies before. Any Kafka will do for that.
func TestALongJournalIsReadFromItsEnd(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, kafka.RebalancesTopic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dial := func(_ context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, opts...)...)
	}
	cl, err := dial(t.Context(), kgo.MaxBufferedRecords(100_000), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	// Each moment has an incident of the group, in two revisions, and one of another group.
	const moments = 12_000
	began := time.Now().Add(-moments * time.Second).Truncate(time.Second)
	name := func(i int) string { return fmt.Sprintf("at-%05d", i) }
	write := func(group string, i, rev int) {
		at := began.Add(time.Duration(i) * time.Second)
		key, value, err := journal.Encode(journal.Incident{Schema: journal.Schema, ID: name(i), Rev: rev, Group: group, Kind: journal.Rebalance, Stage: journal.Closed, Began: journal.Time(vtime.FromTime(at))})
		if err != nil {
			t.Fatal(err)
		}
		cl.Produce(t.Context(), &kgo.Record{Topic: kafka.RebalancesTopic, Key: key, Value: value, Timestamp: at}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	for i := range moments {
		write("noisy", i, 1)
		write("other", i, 1)
		write("noisy", i, 2)
	}
	write("noisy", 7, 3) // the verdict on an old one was amended just now
	write("quiet", 10, 1)
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what, group string
		since       time.Time
		want        Want
		most, least int // incidents
		looked      int // records, at most
		newest      string
	}{
		{what: "the newest hundred", group: "noisy", want: Want{Most: 100}, least: 100, most: 100, looked: 1000, newest: name(moments - 1)},
		{what: "all", group: "noisy", least: moments, most: moments, looked: 3*moments + 100_000, newest: name(moments - 1)},
		{what: "since an hour ago", group: "noisy", since: began.Add((moments - 3600) * time.Second), least: 3600, most: 3601, looked: 3*3600 + 20_000, newest: name(moments - 1)},
		{what: "one that is named", group: "noisy", want: Want{ID: name(moments - 50)}, least: 50, most: 170, looked: 1000, newest: name(moments - 1)},
		{what: "a quiet group", group: "quiet", want: Want{Most: 1}, least: 1, most: 1, looked: 1000, newest: name(10)},
		{what: "nobody", group: "nobody", since: began.Add((moments - 60) * time.Second), looked: 1000},
	} {
		r, err := ReadJournal(t.Context(), dial, tc.group, tc.since, tc.want)
		if err != nil {
			t.Fatalf("%s: %v", tc.what, err)
		}
		r.Close()
		n := len(r.Incidents)
		if n < tc.least || n > tc.most || r.Looked > tc.looked || r.Dropped > 0 || r.Unread > 0 {
			t.Errorf("%s: %d incidents, looked at %d records, %d dropped, %d unread", tc.what, n, r.Looked, r.Dropped, r.Unread)
		}
		if r.LookedBytes > int64(tc.looked)*400 || tc.looked == 1000 && r.Fetches > 3 {
			t.Errorf("%s: %d bytes in %d fetches", tc.what, r.LookedBytes, r.Fetches)
		}
		if n > 0 && r.Incidents[n-1].ID != tc.newest {
			t.Errorf("%s: the newest is %s", tc.what, r.Incidents[n-1].ID)
		}
		for _, inc := range r.Incidents {
			if inc.Group != tc.group || tc.group == "noisy" && inc.Rev < 2 || inc.ID == name(7) && tc.group == "noisy" && inc.Rev != 3 {
				t.Errorf("%s: %s of %s in rev %d", tc.what, inc.ID, inc.Group, inc.Rev)
			}
		}
		if whole := tc.want == (Want{}) || tc.group == "nobody"; whole != r.Until.IsZero() {
			t.Errorf("%s: read until %v", tc.what, r.Until)
		}
	}
}
