// Package driver runs the group coordinator of one node: a runtime.Runtime for every partition of __consumer_offsets that the node leads,
// with the partition under it.
//
// Shell: it locks, waits, reads the clock, reads and writes the log; what happens to a group is decided in coord/group, and when an answer
// may leave in coord/runtime. Nothing here knows what a member is.
//
// A request is worked on by the goroutine that brings it, under the shard's lock: a heartbeat never changes goroutines. Each shard has one
// goroutine of its own for what comes by itself: loading, timers, and the news that the log is committed. Start reading at Coordinator.Submit
// and shard.run.
package driver
