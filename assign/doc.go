// Package assign decides which member of a consumer group reads which partition.
//
// It holds the four assignors of the classic protocol (Range, RoundRobin, Sticky, CooperativeSticky) with the bytes they put on the
// wire, the server-side ones of KIP-848 (Uniform, ServerRange) and the simple one of share groups (KIP-932). A broker, a client and a
// simulator run the same code.
//
// What it promises. Every partition with a subscriber goes to exactly one subscriber (share groups apart). The same input gives the
// same output on every machine, in whatever order members and topics are listed. Sticky, CooperativeSticky and Uniform are optimal,
// for equal and unequal subscriptions: no assignment is better balanced (loads sorted from the largest down, compared like words), none
// as well balanced matches more racks where KIP-881 makes racks count, and none equal in both moves fewer partitions.
// CooperativeSticky never gives a partition to one member while another still claims it, and is quiet after two rounds at most.
// Bytes from the network are bounded before anything is allocated for them, and never cause a panic.
//
// How it is used. A member joins with what Subscribe makes, written by AppendSubscription, and reads its answer with DecodeAssignment. The
// leader reads what all members sent with one Interner, calls Assign, and writes each answer with AppendAssignment: see the example. A
// coordinator of KIP-848 or share groups calls a ServerAssignor with the targets it keeps. What goes in is never changed, and what comes out
// may share memory with it.
//
// What may not be done in it. It imports the standard library only: adapters to Kafka clients live beside it, in packages of their own.
// No clock, goroutine, lock, log or I/O. Nothing is remembered from call to call: what is kept (a sync.Pool) is empty memory. Nothing may depend on the order of a map. Ties are part of what users see: groups whose leader
// changes must not move partitions because a release decides a tie differently, so a test pins them.
//
// Start reading at types.go, then sticky.go; solve.go says how the optimum is found.
package assign
