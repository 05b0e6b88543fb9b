// Package group decides what happens to consumer groups: who is a member, when a rebalance begins and ends, who leads, and whose
// offsets are taken.
//
// Core: no clock, goroutine, lock, log, random or I/O; time and fresh ids arrive in events. A Shard is one partition of
// __consumer_offsets with all its groups. Hard state, what the records say of a group and its offsets, changes in Apply only. A round of
// joining and syncing is soft state, as in Kafka: its generation is written down when the leader hands in the assignment, and a round
// that a restart interrupts is simply lost, its members told ILLEGAL_GENERATION.
//
// The state of a classic group:
//
//	Empty                no members. Offsets may be committed by anybody.
//	PreparingRebalance   waits for members to join (again). They may still commit under the old generation.
//	CompletingRebalance  everybody has joined; waits for the leader's assignment. Nobody may commit.
//	Stable               everybody can have its assignment.
//	Dead                 deleted. No request ever sees it: the tombstone is applied before the next event, and then there is no group.
//
//	Empty -> PreparingRebalance                       the first member is added
//	Stable, CompletingRebalance -> PreparingRebalance a member is added, leaves, goes silent or changes; the leader joins again
//	PreparingRebalance -> CompletingRebalance         the join phase ended with members
//	PreparingRebalance -> Empty                       the join phase ended without
//	CompletingRebalance -> Stable                     the leader handed in the assignment
//	any -> Dead                                       deleted, or nothing of it left
//
// A group that only ever committed offsets has no record of its own; it is there as long as its offsets are.
//
// Start reading at shard.go, then classic_join.go and classic_rebalance.go.
package group
