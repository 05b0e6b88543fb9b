// Package offset remembers what groups have committed: offsets per group, topic and partition, and when they expire.
//
// Core: no clock, goroutine, lock, log or I/O. A Ledger changes in Apply only; everything else reads it and says which records would do
// what was asked. Whether a member may commit at all is the group's decision (coord/group), made before this package is asked.
// Offsets of open transactions are not kept here, so an answer to OffsetFetch is always stable.
package offset
