package server

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// handler answers one decoded request. A nil response closes the connection.
type handler func(s *Server, r *Request, q kmsg.Request) kmsg.Response

// handlers holds what is answered at once; Produce and Fetch may wait and have doors of their own in conn.handle. Each stands in the
// file numbered by its key. TestEveryAdvertisedKeyHasAHandler keeps this list and wire.Versions together.
var handlers = map[int16]handler{
	wire.KeyListOffsets:                 listOffsets,
	wire.KeyMetadata:                    metadata,
	wire.KeyFindCoordinator:             findCoordinator,
	wire.KeyApiVersions:                 apiVersions,
	wire.KeyCreateTopics:                createTopics,
	wire.KeyDeleteTopics:                deleteTopics,
	wire.KeyDeleteRecords:               deleteRecords,
	wire.KeyInitProducerID:              initProducerID,
	wire.KeyOffsetForLeaderEpoch:        offsetForLeaderEpoch,
	wire.KeyDescribeACLs:                describeACLs,
	wire.KeyCreateACLs:                  createACLs,
	wire.KeyDeleteACLs:                  deleteACLs,
	wire.KeyDescribeConfigs:             describeConfigs,
	wire.KeyAlterConfigs:                alterConfigs,
	wire.KeyDescribeLogDirs:             describeLogDirs,
	wire.KeyCreatePartitions:            createPartitions,
	wire.KeyIncrementalAlterConfigs:     incrementalAlterConfigs,
	wire.KeyListPartitionReassignments:  listPartitionReassignments,
	wire.KeyDescribeClientQuotas:        describeClientQuotas,
	wire.KeyDescribeUserScramCredential: describeUserScramCredentials,
	wire.KeyDescribeCluster:             describeCluster,
	wire.KeyDescribeProducers:           describeProducers,
	wire.KeyListConfigResources:         listConfigResources,
	wire.KeyDescribeTopicPartitions:     describeTopicPartitions,
}

// answer decodes a request, runs its handler and appends the response frame to the connection's answers.
func (s *Server) answer(r *Request) ([]byte, error) {
	q := kmsg.RequestForKey(r.Key)
	q.SetVersion(r.Version)
	if err := q.ReadFrom(r.Body); err != nil {
		return nil, &wire.FrameError{Reason: fmt.Sprintf("%s v%d: body cannot be decoded: %v", wire.KeyName(r.Key), r.Version, err)}
	}
	resp := handlers[r.Key](s, r, q)
	if resp == nil {
		return nil, errClose
	}
	start := len(r.conn.out)
	out := wire.AppendResponseHeader(r.conn.out, r.RequestHeader)
	out = resp.AppendTo(out)
	if err := wire.FinishResponse(out, start, 0); err != nil {
		return nil, err
	}
	s.deps.Metrics.Request(r.Key, r.Version, s.deps.Now().Sub(r.Now), 0, len(r.Body), len(out)-start)
	return out, nil
}

// message is what to send along with a code: the given text, or the code's own sentence; nil for success.
func message(code kafka.ErrorCode, text string) *string {
	if code == kafka.None {
		return nil
	}
	if text == "" {
		text = code.Message()
	}
	text = clip(text)
	return &text
}

// clip bounds a text that may quote what a client sent: a string of the older versions has 32 KiB of room, and quoting makes four bytes of one.
func clip(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
