package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// rack is the brokers of one rack, each list sorted.
type rack struct {
	name            string
	active, passive []kafka.NodeID // passive: fenced or draining
}

// place chooses replicas for the partitions first to first+count-1. The same arguments give the same answer.
//
// Aims, the higher one first: no broker twice in a partition (always kept); replicas of a partition in different racks;
// leaders evenly over the active brokers; the followers of one leader on changing brokers; active brokers before passive
// ones. The first replica is active, always. Partitions walk over the racks and, rack by rack, over the brokers; start is
// where the walk begins, so that topics of one partition do not all meet on the same broker.
func place(brokers []*meta.Broker, start uint32, first, count int32, factor int) ([][]kafka.NodeID, error) {
	racks, active := racksOf(brokers)
	switch {
	case factor < 1:
		return nil, fmt.Errorf("the replication factor must be positive")
	case factor > len(brokers):
		return nil, fmt.Errorf("the target replication factor of %d cannot be reached because only %d broker(s) are registered", factor, len(brokers))
	case active == 0:
		return nil, fmt.Errorf("all brokers are currently fenced or in controlled shutdown")
	}
	placed := make([][]kafka.NodeID, count)
	orders := make([][]kafka.NodeID, len(racks))
	for i := range placed {
		turn := uint64(start) + uint64(first) + uint64(i)
		placed[i] = placeOne(racks, orders, turn, factor)
	}
	return placed, nil
}

// racksOf sorts the brokers into racks; racks with an active broker come first, then by name. Brokers without a rack share one.
func racksOf(brokers []*meta.Broker) (racks []rack, active int) {
	at := map[string]int{}
	for _, b := range brokers { // sorted by id, so the lists are too
		i, ok := at[b.Rack]
		if !ok {
			i = len(racks)
			at[b.Rack] = i
			racks = append(racks, rack{name: b.Rack})
		}
		if b.Active() {
			racks[i].active = append(racks[i].active, b.ID)
			active++
		} else {
			racks[i].passive = append(racks[i].passive, b.ID)
		}
	}
	slices.SortFunc(racks, func(a, b rack) int {
		if (len(a.active) == 0) != (len(b.active) == 0) {
			return len(b.active) - len(a.active)
		}
		return strings.Compare(a.name, b.name)
	})
	return racks, active
}

// placeOne chooses for one partition. orders is room to work in, one per rack.
func placeOne(racks []rack, orders [][]kafka.NodeID, turn uint64, factor int) []kafka.NodeID {
	leading := 0 // racks that can lead
	for leading < len(racks) && len(racks[leading].active) > 0 {
		leading++
	}
	lead := int(turn % uint64(leading))
	round := turn / uint64(leading) // how often the walk went over all racks
	for j := range racks {
		// j counts racks from the leader's on. Each later rack starts further along with every lap of the walk over its
		// brokers, so that a leader meets different followers.
		r := &racks[(lead+j)%len(racks)]
		step := round
		if n := uint64(len(r.active)); n > 0 {
			step += uint64(j) * (round / n)
		}
		orders[j] = append(order(orders[j][:0], r.active, step), r.passive...)
	}
	replicas := make([]kafka.NodeID, 0, factor)
	for depth := 0; len(replicas) < factor; depth++ {
		for j := range racks {
			if depth < len(orders[j]) && len(replicas) < factor {
				replicas = append(replicas, orders[j][depth])
			}
		}
	}
	return replicas
}

// order appends ids to dst in the order in which a partition takes them: the one whose turn it is, then the others, starting
// one further with every lap.
func order(dst, ids []kafka.NodeID, step uint64) []kafka.NodeID {
	n := uint64(len(ids))
	if n == 0 {
		return dst
	}
	first, lap := step%n, step/n
	dst = append(dst, ids[first])
	for k := uint64(0); k+1 < n; k++ {
		dst = append(dst, ids[(first+1+(lap+k)%(n-1))%n])
	}
	return dst
}
