// Package journal answers "why did this group rebalance?": it turns the coordinator's notes into incidents, names their causes, and tells
// them as text.
//
// Core: no clock, goroutine, lock, log, random or I/O; time and evidence are handed in. It promises that the same notes and the same
// evidence give the same incidents, that a sentence it writes rests on a fact that is in the incident, and that a number in an advice was
// given or measured, never guessed. It is a projection: nothing that the coordinator decides may depend on it.
//
// The parts, in the order in which they are used:
//
//	say.go        one note in an operator's words: the timelines
//	incident.go   what is known of one rebalance; what the records of __barnabas_rebalances hold
//	causes.go     the causes C01 to C23 and the detectors D01 to D14, in words
//	recorder.go   notes and evidence in, incidents out
//	classify.go   which cause it was, by rules in a fixed order
//	advise.go     what to change, with the arithmetic
//	story.go      an incident, or a history of them, as text
//	detect.go     what only a history shows: storms, loops, oscillation
//	codec.go      the record: key, value, the limit of size
//
// Everything from classify.go on works on incidents alone, wherever they come from: this broker's journal, an Apache Kafka's history, a
// simulation.
package journal
