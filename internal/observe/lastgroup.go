package observe

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/coord/record"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// lastGroupReach is how many records of the offsets topic LastGroup looks at from its end. Between two generations of a group lie the commits of all
// groups of the partition.
const lastGroupReach = 500_000

// LastGroup is what the offsets topic holds of a classic group: its newest generation, with the timeouts of each member, which no request
// tells. nil says that none was found within reach, that the group was deleted, or that it is of the newer protocol (KIP-848).
func LastGroup(ctx context.Context, dial Dial, group string) (last *record.GroupMetadataValue, err error) {
	t, err := open(ctx, dial, kafka.OffsetsTopic, group, time.Time{})
	if err != nil {
		return nil, err
	}
	defer t.close()
	t.start = max(t.start, t.end-lastGroupReach)
	b, found := &backwards{t: t}, false
	_, err = b.read(ctx, func(r *kgo.Record) {
		if groupOf(r.Key) != group {
			return
		}
		if dec, err := record.Decode(r.Key, r.Value); err == nil {
			if g, ok := dec.(*record.GroupMetadata); ok {
				last, found = g.Value, true
			}
		}
	}, func() bool { return found })
	return last, err
}
