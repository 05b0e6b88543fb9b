package broker

import (
	"testing"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/journal"
)

// What the journal wrote the console finds there again; what it could not write the console keeps.
func TestTheConsoleReadsWhatTheJournalWrote(t *testing.T) {
	log, reads := map[int64][]byte{}, 0
	s := &consoleSource{changes: console.NewHub()}
	s.incidents = console.NewStore(1<<20, func(_ string, offset int64) ([]byte, error) {
		reads++
		return log[offset], nil
	})
	tell := func(rev int, written bool) {
		t.Helper()
		in := journal.Incident{Schema: journal.Schema, ID: "a", Rev: rev, Group: "g", Kind: journal.Rebalance, Stage: journal.Opened}
		key, value, err := journal.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		if written {
			log[int64(10*rev)] = value
			s.recorded(key, value, int64(10*rev))
		}
		s.incident(in)
	}
	shows := func(rev, read int) {
		t.Helper()
		if in := s.incidents.Incident("g", "a"); in == nil || in.Rev != rev || reads != read {
			t.Errorf("shown is %+v after %d reads, not revision %d after %d", in, reads, rev, read)
		}
	}
	tell(1, true)
	shows(1, 1)
	tell(2, false) // the disk was full
	shows(2, 1)
	tell(3, true)
	shows(3, 2)
	tell(2, true) // late
	shows(3, 3)
}
