// Package meta is what the cluster knows about itself: brokers, topics, partitions, configurations and the next producer id.
//
// It holds three things. Store is the narrow interface behind which that knowledge lies: bbolt on a single node, etcd in a
// cluster, a map in tests. The key layout and the codecs say how each fact is written there (keys.go, values.go). Image is the
// same knowledge in memory: an immutable snapshot at one revision, which Apply turns into the next one at the cost of what
// changed. Image plus Changes is all the rest of the program ever sees; nothing above a Store knows which one runs.
//
// Core: no file, goroutine, lock, clock or log in here. Nothing per request belongs here either: offsets, group state and
// producer state live in the broker's own logs.
//
// Start reading at image.go.
package meta
