// Package record is the records of __consumer_offsets as Go types, and their bytes in Kafka's own formats.
//
// Core: no clock, goroutine, lock, log or I/O. Kafka's tools read what we write, and we read what Kafka wrote: keys of types 0, 1 and 2,
// OffsetCommit values of versions 0 to 4, GroupMetadata values of versions 0 to 4. A key of another type decodes as Unknown, so that a
// loader steps over it; a value version above the known ones is an error, since guessing would lose offsets. Bytes come from disk and
// may be anything: no length is believed before the bytes behind it are there, and no decoder panics.
//
// A Record is immutable from the moment it leaves its maker: state keeps pointers into it.
package record
