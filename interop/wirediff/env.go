package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Env is what a case may know about the broker it talks to.
type Env struct {
	broker  *rig.Broker
	addr    string
	node    int32
	host    string
	port    int
	cluster string
	words   *strings.Replacer // this broker's own names, replaced by words
	ids     map[string][16]byte
	names   map[[16]byte]string
	ranges  map[int16][2]int16
	state   map[string]any // what one step of a case leaves for a later one
}

// fixedProducers are producer ids that cases invent themselves, and that both brokers must therefore show alike.
var fixedProducers = map[int64]bool{4242: true, 4243: true, 4244: true}

// bogusID is a topic id that no broker ever hands out to us.
var bogusID = [16]byte{0xba, 0xda, 0x55, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}

func newEnv(ctx context.Context, b *rig.Broker) (*Env, error) {
	host, port, _ := net.SplitHostPort(b.Addr)
	n, _ := strconv.Atoi(port)
	e := &Env{broker: b, addr: b.Addr, host: host, port: n, ids: map[string][16]byte{}, names: map[[16]byte]string{},
		ranges: map[int16][2]int16{}, state: map[string]any{}}
	c, err := wire.Dial(ctx, e.addr, "wire-diff")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 9
	meta.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := c.Do(ctx, meta)
	if err != nil {
		return nil, err
	}
	m := resp.(*kmsg.MetadataResponse)
	e.node = m.Brokers[0].NodeID
	if m.ClusterID != nil {
		e.cluster = *m.ClusterID
	}
	e.words = strings.NewReplacer(b.Addr, "HOST:PORT", port, "PORT", b.Dir, "DIR", b.AdminAddr(), "HOST:CONTROLLER", "id: "+strconv.Itoa(int(e.node)), "id: NODE")
	apis := kmsg.NewPtrApiVersionsRequest()
	apis.Version = 3
	apis.ClientSoftwareName, apis.ClientSoftwareVersion = "wire-diff", "1"
	resp, err = c.Do(ctx, apis)
	if err != nil {
		return nil, err
	}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		e.ranges[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	return e, nil
}

func (e *Env) learn(topic string, id [16]byte) {
	if id != [16]byte{} {
		e.ids[topic], e.names[id] = id, topic
	}
}

func (e *Env) idName(id [16]byte) string {
	switch {
	case id == [16]byte{}:
		return "none"
	case id == bogusID:
		return "bogus"
	}
	if name, ok := e.names[id]; ok {
		return "id-of-" + name
	}
	return "unknown-id-" + hex.EncodeToString(id[:2])
}

// run is one case at one version against one broker: every answer it asks for becomes part of what is compared.
type run struct {
	ctx   context.Context
	env   *Env
	key   int16
	v     int16
	conn  *wire.Conn
	name  string // client id; "" for wire-diff
	steps int
	out   flat
}

func (r *run) close() {
	if r.conn != nil {
		r.conn.Close()
	}
}

// do sends a request of the case's own key at the case's version, or one of another key at the version it carries, and records the answer.
// A connection that the broker closed is an answer too; the next request opens a new one.
func (r *run) do(req kmsg.Request) kmsg.Response {
	if req.Key() == r.key {
		req.SetVersion(r.v)
	}
	prefix := ""
	if r.steps++; r.steps > 1 {
		prefix = fmt.Sprintf("step%d", r.steps)
	}
	ends := map[string]int64{}
	if produce, ok := req.(*kmsg.ProduceRequest); ok {
		ends = r.ends(produce)
	}
	resp, err := r.ask(req)
	if err != nil {
		r.out[join(prefix, "outcome")] = err.Error()
		return nil
	}
	for p, v := range flatten(r.env, prefix, resp) {
		if partition, ok := strings.CutSuffix(p, ".BaseOffset"); ok {
			v = relative(v, ends[strings.TrimPrefix(partition, prefix+".")])
		}
		r.out[p] = v
	}
	return resp
}

// relative tells a base offset as a distance from the partition's end before the request: where one broker takes a batch that the other
// refuses, all later offsets would differ and say nothing new.
func relative(offset string, end int64) string {
	n, err := strconv.ParseInt(offset, 10, 64)
	if err != nil || n < 0 {
		return offset
	}
	return fmt.Sprintf("end%+d", n-end)
}

// ends are the end offsets of the partitions that a Produce names, by their path in its answer.
func (r *run) ends(q *kmsg.ProduceRequest) map[string]int64 {
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.Version, ask.ReplicaID = 4, -2 // as a debugging replica: the end of the log, not of what is visible
	for _, t := range q.Topics {
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = t.Topic
		for _, p := range t.Partitions {
			lp := kmsg.NewListOffsetsRequestTopicPartition()
			lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = p.Partition, -1, -1
			lt.Partitions = append(lt.Partitions, lp)
		}
		ask.Topics = append(ask.Topics, lt)
	}
	out := map[string]int64{}
	if resp, ok := r.quiet(ask).(*kmsg.ListOffsetsResponse); ok {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				out[fmt.Sprintf("Topics[%s].Partitions[%d]", t.Topic, p.Partition)] = p.Offset
			}
		}
	}
	return out
}

// note records something a case worked out itself.
func (r *run) note(what, value string) { r.out[what] = value }

// quiet sends a request whose answer is not compared.
func (r *run) quiet(req kmsg.Request) kmsg.Response {
	resp, err := r.ask(req)
	if err != nil {
		return nil
	}
	return resp
}

func (r *run) ask(req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	if r.conn == nil {
		c, err := wire.Dial(ctx, r.env.addr, cmp.Or(r.name, "wire-diff"))
		if err != nil {
			return nil, fmt.Errorf("no connection: %w", err)
		}
		r.conn = c
	}
	resp, err := r.conn.Do(ctx, req)
	if err == nil {
		return resp, nil
	}
	r.conn.Close()
	r.conn = nil
	return nil, wire.Plain(err)
}

// await asks until ok is satisfied: metadata of a new topic arrives a moment after its creation.
func (r *run) await(req func() kmsg.Request, ok func(kmsg.Response) bool) bool {
	for range 200 {
		if resp := r.quiet(req()); resp != nil && ok(resp) {
			return true
		}
		select {
		case <-r.ctx.Done():
			return false
		case <-time.After(25 * time.Millisecond):
		}
	}
	return false
}

// create makes a topic and waits until it has leaders; its id is known afterwards.
func (r *run) create(topic string, partitions int32, configs ...string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 5
	req.TimeoutMillis = 10000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	for i := 0; i+1 < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	r.quiet(req)
	r.awaitTopic(topic, partitions)
}

func (r *run) awaitTopic(topic string, partitions int32) {
	ok := r.await(func() kmsg.Request {
		m := kmsg.NewPtrMetadataRequest()
		m.Version = 10
		mt := kmsg.NewMetadataRequestTopic()
		mt.Topic = kmsg.StringPtr(topic)
		m.Topics = append(m.Topics, mt)
		return m
	}, func(resp kmsg.Response) bool {
		for _, t := range resp.(*kmsg.MetadataResponse).Topics {
			if t.ErrorCode != 0 || int32(len(t.Partitions)) != partitions {
				return false
			}
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 || p.Leader < 0 {
					return false
				}
			}
			r.env.learn(topic, t.TopicID)
		}
		return true
	})
	// Metadata knows the leader a moment before the leader knows itself: wait until it answers for its partitions.
	ok = ok && r.await(func() kmsg.Request {
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version, q.ReplicaID = 4, -1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for p := range partitions {
			tp := kmsg.NewListOffsetsRequestTopicPartition()
			tp.Partition, tp.Timestamp, tp.CurrentLeaderEpoch = p, -2, -1
			t.Partitions = append(t.Partitions, tp)
		}
		q.Topics = append(q.Topics, t)
		return q
	}, func(resp kmsg.Response) bool {
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return false
				}
			}
		}
		return true
	})
	if !ok {
		r.note("setup", "topic "+topic+" never got its leaders")
	}
}

// produce appends one batch and waits for it.
func (r *run) produce(topic string, partition int32, batch wire.Batch) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 9
	req.Acks, req.TimeoutMillis = -1, 10000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch.Encode()}}}}
	resp, _ := r.quiet(req).(*kmsg.ProduceResponse)
	if resp == nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		r.note("setup", "produce to "+topic+" was refused")
	}
}
