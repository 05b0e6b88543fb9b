// Package history rebuilds a group's rebalances from what any Kafka keeps of it: the records of __consumer_offsets, or answers to describe calls.
//
// Core: no clock, goroutine, lock, log or I/O; records come in with their time, incidents go out. It promises to know no more than the records do: what
// they say is measured, what follows from two of them is inferred, and where they do not tell why somebody went, the cause stays unknown and the
// incident names what is missing. The names, the verdicts and the text are internal/journal's.
//
// builder.go makes incidents of a group's records, depart.go weighs what is known of a member that went, brokerlog.go reads the log of an Apache
// Kafka broker, which alone holds the clients' reasons, and apply.go puts those beside the incidents.
package history
