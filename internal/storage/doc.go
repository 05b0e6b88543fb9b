// Package storage is the durable log: partitions as folders of segments in Kafka's own on-disk format, so that Kafka's tools open
// our data and ours open Kafka's (docs/formats/log-directory.md draws the bytes).
//
// What it promises:
//   - What Config.OnFlushed reported, and what lies below FlushedOffset, survives kill -9 and a power cut.
//   - Bytes are stored as they came: an append patches the twelve bytes of base offset and leader epoch, nothing else.
//   - Readers never wait for a disk write of an appender: they see the segment list and the end through atomic pointers.
//   - A failed write or sync takes the whole log directory offline for good; only Open, by way of recovery, brings it back.
//   - Recovery cuts a torn tail and nothing that was acknowledged.
//
// What may not be done in it: deciding who leads or what is committed (the partition above does, and tells the high watermark), parsing
// requests, touching files other than through internal/vfs, or any work per record on the append and read paths.
//
// A log has one lock, Log.mu, for everyone who changes it: append, roll, truncation, retention, the swap after a compaction. Small locks
// (segment index, producer state, epochs, files) nest inside it and are never held across a disk access.
//
// Start reading at log.go, then append.go, read.go and flusher.go; recovery.go tells what happens after a crash.
package storage
