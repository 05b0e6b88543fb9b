// Package runtime is what stands between a shard and the log it lives in: it loads the shard, hands it events in order, gathers its records
// into batches, keeps its timers, and holds back answers and notes until what they stand on is committed.
//
// Core: no clock, goroutine, lock, log, random or I/O. The broker drives a Runtime from coord/driver, with a partition of
// __consumer_offsets under it; the simulator drives the same Runtime in virtual time. Both promise the same:
//
//   - Time does not go back from one call to the next.
//   - What Batch returns is appended before anything else is written to the partition, and lands at BaseOffset. Otherwise: Drop.
//   - Committed is told how far the log is committed: durable on every in-sync replica. Never further.
//
// A Runtime goes through three states, over and over:
//
//	Idle     not the coordinator; requests are answered NOT_COORDINATOR. Load leads to Loading.
//	Loading  the partition is being read; requests are answered COORDINATOR_LOAD_IN_PROGRESS. Loaded leads to Active, Drop to Idle.
//	Active   requests reach the shard. Drop leads to Idle, and answers whoever waits with NOT_COORDINATOR.
//
// Two batches are in flight at most, and everything that is written meanwhile goes into the next: so batches grow with the load and cost
// nothing when there is none. While the disk is busy with the first, the second is on its way to it; what is answered leaves in the order of the
// log all the same. Start reading at Runtime.step.
package runtime
