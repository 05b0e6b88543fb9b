// Package sim runs consumer groups in virtual time: the coordinator of the broker and the assignors of the assign package, unchanged, with
// modelled clients, records and network around them.
//
// Core: no clock, goroutine, lock, log, random or I/O. It promises that the same scenario and the same seed give the same run on every
// machine, told by the same trace hash; that every partition's time is accounted for; and that memory is bounded by members, partitions and
// what a Recorder was asked to keep, not by the length of the run. What the coordinator decides is the coordinator's business: nothing here
// knows a state of a group, counts members for it or elects a leader. What a run has to keep to is checked in every step by the checkers in
// sim/check, and a run that breaks it ends with an error.
//
// A run is one queue of events, by time and then by the order in which they were queued. Requests, answers, timers and the timeline of the
// scenario are events. Records are not: between two events a member's progress is integrated from rates, so that a day of a large group costs
// a second. Every entity draws from a random stream of its own.
//
// The parts, in the order of reading:
//
//	scenario.go, fields.go, load.go   what is simulated: the scenario file, its fields, its errors
//	world.go, queue.go, random.go     the loop
//	coordinator.go, network.go        the real coordinator, and the way to it
//	member.go, join.go, flow.go       a modelled client: threads, protocol, records
//	partition.go, measure.go          what it costs
//	timeline.go                       what happens: restarts, crashes, pauses, deploys
//	compare.go, report.go             many runs, side by side
//	torture.go                        random scenarios against the checkers
//
// Kept free for the consumer protocol of KIP-848 and for share groups: Members.Protocol, which names one value so far, and the rows of a
// comparison.
package sim
