// Package kafka is the vocabulary: identifiers, epochs, offsets and error codes, with Kafka's own names.
//
// It imports nothing of ours and decides nothing. A value that only one room needs stays in that room.
package kafka
