package main

import (
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// slowBalancer is a leader whose assignor takes its time, once it is told to.
type slowBalancer struct {
	kgo.GroupBalancer
	slow atomic.Bool
}

// MemberBalancer is the real one, after a while.
func (b *slowBalancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	if b.slow.Load() {
		time.Sleep(7 * time.Second)
	}
	return b.GroupBalancer.MemberBalancer(members)
}
