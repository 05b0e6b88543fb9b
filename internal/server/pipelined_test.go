package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/replica/driver"
)

// script is a connection whose client has written pieces, one for each read, and then leaves. It notes what happens in which order.
type script struct {
	net.Conn
	pieces [][]byte
	events []any // "read"; the correlation ids of one write
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	s.events = append(s.events, "read")
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	var ids []int32
	for rest := b; len(rest) > 0; rest = rest[4+binary.BigEndian.Uint32(rest):] {
		ids = append(ids, int32(binary.BigEndian.Uint32(rest[4:])))
	}
	s.events = append(s.events, ids)
	return len(b), nil
}

func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// creating is a cluster without topics, in which the creation of one can be watched.
type creating struct {
	Cluster
	ensure func()
}

func (c creating) Image() *meta.Image { return meta.NewImage() }
func (c creating) EnsureTopic(context.Context, string) controller.TopicResult {
	c.ensure()
	return controller.TopicResult{}
}

// Answers to requests that have come together leave together, but none waits for a request that is not here, or that may take a while.
func TestAnswersLeaveTogetherAndWaitForNobody(t *testing.T) {
	cfg, _, err := config.Load(config.Args{Flags: []config.Flag{{Name: "log.dirs", Value: t.TempDir()}}})
	if err != nil {
		t.Fatal(err)
	}
	quick := func(id int32) []byte { // there is no such partition, which is quickly said
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version = 4
		q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1}}}}
		return kmsg.NewRequestFormatter().AppendRequest(nil, q, id)
	}
	large := func(id int32) []byte { // it asks for a share of the memory first
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version = 4
		q.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: make([]kmsg.ListOffsetsRequestTopicPartition, 100)}}
		for i := range q.Topics[0].Partitions {
			q.Topics[0].Partitions[i] = kmsg.ListOffsetsRequestTopicPartition{Partition: int32(i), Timestamp: -1}
		}
		return kmsg.NewRequestFormatter().AppendRequest(nil, q, id)
	}
	other := func(id int32) []byte { // an API that is not known to be quick
		q := kmsg.NewPtrDescribeACLsRequest()
		q.Version = 1
		return kmsg.NewRequestFormatter().AppendRequest(nil, q, id)
	}
	metadata := func(id int32) []byte {
		q := kmsg.NewPtrMetadataRequest()
		q.Version, q.AllowAutoTopicCreation, q.Topics = 9, true, []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("new")}}
		return kmsg.NewRequestFormatter().AppendRequest(nil, q, id)
	}
	unknown := []byte{0, 0, 0, 10, 0, 2, 0x7f, 0, 0, 0, 0, 9, 0, 0} // ListOffsets of a version far away
	for _, c := range []struct {
		name   string
		pieces [][]byte
		want   []any
	}{
		{"five that came together", [][]byte{slices.Concat(quick(1), quick(2), quick(3), quick(4), quick(5))}, []any{"read", []int32{1, 2, 3, 4, 5}}},
		{"one after the other", [][]byte{quick(1), quick(2)}, []any{"read", []int32{1}, "read", []int32{2}}},
		{"half a request behind two", [][]byte{slices.Concat(quick(1), quick(2), quick(3)[:20]), quick(3)[20:]},
			[]any{"read", []int32{1, 2}, "read", []int32{3}}},
		{"a size and nothing more", [][]byte{slices.Concat(quick(1), quick(2)[:4]), quick(2)[4:]}, []any{"read", []int32{1}, "read", []int32{2}}},
		{"one that may take a while, and one behind it", [][]byte{slices.Concat(quick(1), other(2), quick(3), quick(4))}, []any{"read", []int32{1}, []int32{2, 3, 4}}},
		{"one that needs memory", [][]byte{slices.Concat(quick(1), large(2))}, []any{"read", []int32{1}, []int32{2}}},
		{"a topic is created on the way", [][]byte{slices.Concat(quick(1), metadata(2), quick(3))}, []any{"read", []int32{1}, "create", []int32{2, 3}}},
		{"nonsense behind two", [][]byte{slices.Concat(quick(1), quick(2), unknown)}, []any{"read", []int32{1, 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{pieces: c.pieces}
			srv := New(Config{RequestMaxBytes: 1 << 20, RequestMemoryBytes: 1 << 20, RequestReadTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute},
				Deps{Config: func() *config.Config { return cfg }, Metrics: uncounted{}, Now: time.Now, Partitions: driver.NewSet(1, true, slog.New(slog.DiscardHandler)),
					Cluster: creating{ensure: func() { s.events = append(s.events, "create") }}}, slog.New(slog.DiscardHandler))
			newConn(srv, s, "PLAINTEXT").serve()
			if diff := cmp.Diff(c.want, s.events); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What answers gather is bounded: a client that asks for much in few bytes has it in pieces.
func TestAnswersThatLeaveTogetherAreBounded(t *testing.T) {
	c := &conn{srv: &Server{memory: newBudget(1 << 20)}}
	q := kmsg.NewPtrApiVersionsRequest()
	c.in = bufio.NewReader(bytes.NewReader(kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)))
	c.in.Peek(1)
	if !c.followed(writePiece) || c.followed(writePiece+1) {
		t.Errorf("followed: %v with %d bytes, %v with one more", c.followed(writePiece), writePiece, c.followed(writePiece+1))
	}
}
