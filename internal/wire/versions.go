package wire

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Keys of the APIs that code names.
const (
	KeyProduce                     int16 = 0
	KeyFetch                       int16 = 1
	KeyListOffsets                 int16 = 2
	KeyMetadata                    int16 = 3
	KeyOffsetCommit                int16 = 8
	KeyOffsetFetch                 int16 = 9
	KeyFindCoordinator             int16 = 10
	KeyJoinGroup                   int16 = 11
	KeyHeartbeat                   int16 = 12
	KeyLeaveGroup                  int16 = 13
	KeySyncGroup                   int16 = 14
	KeyDescribeGroups              int16 = 15
	KeyListGroups                  int16 = 16
	KeyApiVersions                 int16 = 18
	KeyCreateTopics                int16 = 19
	KeyDeleteTopics                int16 = 20
	KeyDeleteRecords               int16 = 21
	KeyInitProducerID              int16 = 22
	KeyOffsetForLeaderEpoch        int16 = 23
	KeyDescribeACLs                int16 = 29
	KeyCreateACLs                  int16 = 30
	KeyDeleteACLs                  int16 = 31
	KeyDescribeConfigs             int16 = 32
	KeyAlterConfigs                int16 = 33
	KeyDescribeLogDirs             int16 = 35
	KeyCreatePartitions            int16 = 37
	KeyDeleteGroups                int16 = 42
	KeyIncrementalAlterConfigs     int16 = 44
	KeyListPartitionReassignments  int16 = 46
	KeyOffsetDelete                int16 = 47
	KeyDescribeClientQuotas        int16 = 48
	KeyDescribeUserScramCredential int16 = 50
	KeyDescribeCluster             int16 = 60
	KeyDescribeProducers           int16 = 61
	KeyListConfigResources         int16 = 74
	KeyDescribeTopicPartitions     int16 = 75
)

// Range is one line of the version table: what ApiVersions advertises and the server honours in full.
type Range struct {
	Key, Min, Max int16
}

// versions is the one version table. Exceptions to "honoured in full", as long as they last: Produce 0-2 is advertised and
// refused, as Kafka does it (old librdkafka switches compression off otherwise). Produce stops at 11 until transactions exist, FindCoordinator at
// 5 until share groups do, OffsetCommit and OffsetFetch at 9: version 10 names topics by id.
var versions = []Range{
	{KeyProduce, 0, 11},
	{KeyFetch, 4, 18},
	{KeyListOffsets, 1, 11},
	{KeyMetadata, 0, 13},
	{KeyOffsetCommit, 2, 9},
	{KeyOffsetFetch, 1, 9},
	{KeyFindCoordinator, 0, 5},
	{KeyJoinGroup, 0, 9},
	{KeyHeartbeat, 0, 4},
	{KeyLeaveGroup, 0, 5},
	{KeySyncGroup, 0, 5},
	{KeyDescribeGroups, 0, 6},
	{KeyListGroups, 0, 5},
	{KeyApiVersions, 0, 4},
	{KeyCreateTopics, 2, 7},
	{KeyDeleteTopics, 1, 6},
	{KeyDeleteRecords, 0, 2},
	{KeyInitProducerID, 0, 5},
	{KeyOffsetForLeaderEpoch, 2, 4},
	{KeyDescribeACLs, 1, 3},
	{KeyCreateACLs, 1, 3},
	{KeyDeleteACLs, 1, 3},
	{KeyDescribeConfigs, 1, 4},
	{KeyAlterConfigs, 0, 2},
	{KeyDescribeLogDirs, 1, 5},
	{KeyCreatePartitions, 0, 3},
	{KeyDeleteGroups, 0, 2},
	{KeyIncrementalAlterConfigs, 0, 1},
	{KeyListPartitionReassignments, 0, 0},
	{KeyOffsetDelete, 0, 0},
	{KeyDescribeClientQuotas, 0, 1},
	{KeyDescribeUserScramCredential, 0, 0},
	{KeyDescribeCluster, 0, 2},
	{KeyDescribeProducers, 0, 0},
	{KeyListConfigResources, 0, 1},
	{KeyDescribeTopicPartitions, 0, 0},
}

// tableSize bounds the look-up arrays; keys at or above it are unknown.
const tableSize = 128

type lookup struct {
	min, max     int16
	flexibleFrom int16
	known        bool
}

var lookups = buildLookups()

func buildLookups() (t [tableSize]lookup) {
	for _, r := range versions {
		l := lookup{min: r.Min, max: r.Max, flexibleFrom: r.Max + 1, known: true}
		req := kmsg.RequestForKey(r.Key)
		for v := r.Min; v <= r.Max; v++ {
			if req.SetVersion(v); req.IsFlexible() {
				l.flexibleFrom = v
				break
			}
		}
		t[r.Key] = l
	}
	return t
}

// Versions is the table that ApiVersions answers with, ascending by key. Callers must not change it.
func Versions() []Range { return versions }

// Supports reports whether the version of the API is in the table.
func Supports(key, version int16) bool {
	if key < 0 || key >= tableSize {
		return false
	}
	l := &lookups[key]
	return l.known && version >= l.min && version <= l.max
}

// flexible reports whether the version has compact lengths and tagged fields (KIP-482).
func flexible(key, version int16) bool { return version >= lookups[key].flexibleFrom }

// KeyName is the API's name for people and metrics: "Produce".
func KeyName(key int16) string {
	if n := kmsg.NameForKey(key); n != "" && n != "Unknown" {
		return n
	}
	return "key " + strconv.Itoa(int(key))
}
