// Package observe reads, from any Kafka, what tells why groups rebalanced: the journal of a Barnabas cluster, the records of __consumer_offsets, or
// answers to describe calls.
//
// Shell: it speaks to a cluster and waits. It only reads, never joins a group or commits, and gives what it finds to internal/observe/history and
// internal/journal, which decide what it means. It promises bounded memory, and a plain error (ErrNotAllowed) where the principal may not read,
// so that the caller can fall back to less. Client logs are internal/observe/clientlog's, which needs no cluster.
//
// Start reading at topic.go, which reads one partition from a moment to its end or on and on.
package observe
