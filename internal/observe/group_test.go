package observe

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/journal"
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
