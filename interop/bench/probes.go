package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
	"github.com/barnabas-mq/barnabas/interop/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probeRows are the measurements that need a hand on the broker's process or a socket of their own.
func probeRows(o options) []row {
	starts, idleConns, manyPartitions, requests := 20, 1000, 10000, 100_000
	if o.quick {
		starts, idleConns, manyPartitions, requests = 3, 200, 500, 10_000
	}
	rows := smallRows(requests)
	rows = append(rows, row{name: "idle connections", group: "memory", probeWhat: fmt.Sprintf("resident memory before and after %d connections that asked ApiVersions once", idleConns),
		probe: func(ctx context.Context, t target) (map[string]float64, error) {
			return idleConnections(ctx, t, idleConns)
		}, own: true})
	for _, again := range []bool{false, true} {
		name, what, n := "start, new directory", "exec to the first acknowledged produce, over a raw socket, into a new directory", starts
		if again {
			name, what = "start, reopened directory", "exec to the first acknowledged produce, over a raw socket, of an existing topic after a clean shutdown"
		}
		rows = append(rows, row{name: name, group: "start", probeWhat: what, own: true,
			probe: func(ctx context.Context, t target) (map[string]float64, error) { return firstAck(ctx, t, n, again) }})
	}
	rows = append(rows, row{name: fmt.Sprintf("start with %d partitions", manyPartitions), group: "start", own: true, probeWhat: "exec to ready after a clean shutdown",
		probe: func(ctx context.Context, t target) (map[string]float64, error) {
			return manyStart(ctx, t, manyPartitions)
		}})
	for _, files := range []int{50, 1000} { // fewer files have rows of turns
		const block = 1_000_012 / 50 // what a request to fifty partitions brings each of them: see the produce rows
		rows = append(rows, row{name: fmt.Sprintf("floor, %d files, %d B blocks", files, block), group: "floor", own: true, alone: true,
			probeWhat: fmt.Sprintf("go run ./bench/floor -files %d -block %d", files, block),
			probe:     func(ctx context.Context, t target) (map[string]float64, error) { return floor(ctx, t, files, block) }})
	}
	if o.quick {
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.group == "floor" })
	}
	return rows
}

// idleConnections starts a broker of its own: its memory before anyone came, and what each silent connection adds.
func idleConnections(ctx context.Context, t target, n int) (map[string]float64, error) {
	b, err := rig.Start(ctx, t.kind, rig.Options{Properties: properties(t.kind, fsync), CPUs: t.o.cpus})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	idle, err := settledRSS(ctx, b)
	if err != nil {
		return nil, err
	}
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "bench", "1"
	for range n {
		c, err := wire.Dial(ctx, b.Addr, "bench")
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if _, err := c.Do(ctx, q); err != nil {
			return nil, err
		}
	}
	full, err := settledRSS(ctx, b)
	if err != nil {
		return nil, err
	}
	return map[string]float64{"idle MiB": idle, "with connections MiB": full, "added MiB": full - idle, "KiB/connection": (full - idle) * 1024 / float64(n)}, nil
}

// settledRSS reads the resident memory once it stopped changing, 10 s at most.
func settledRSS(ctx context.Context, b *rig.Broker) (float64, error) {
	last := int64(-1)
	for range 20 {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		u, err := b.Usage()
		if err != nil {
			return 0, err
		}
		if diff := u.RSSBytes - last; last >= 0 && diff < 64<<10 && diff > -64<<10 {
			return float64(u.RSSBytes) / (1 << 20), nil
		}
		last = u.RSSBytes
	}
	return float64(last) / (1 << 20), nil
}

// firstAck measures from exec to the first acknowledged produce. In a new directory the topic has to be created in that time; in a reopened
// one it is there, with a few records, and the shutdown was clean.
func firstAck(ctx context.Context, t target, n int, reopened bool) (map[string]float64, error) {
	if t.kind == rig.Kafka && n > 3 {
		n = 3 // seconds each, and they do not vary
	}
	var ms []float64
	var b *rig.Broker
	defer func() {
		if b != nil {
			b.Close()
		}
	}()
	options := rig.Options{Properties: properties(t.kind, fsync), CPUs: t.o.cpus}
	for range n {
		var began time.Time
		if reopened {
			if b == nil {
				var err error
				if b, err = rig.Start(ctx, t.kind, options); err != nil {
					return nil, err
				}
				if err := produceOnce(ctx, b.Addr, "first"); err != nil {
					return nil, err
				}
			}
			if err := b.Stop(); err != nil {
				return nil, err
			}
			b.SkipReady(true)
			began = time.Now()
			if err := b.Restart(ctx); err != nil {
				return nil, err
			}
		} else {
			if b != nil {
				b.Close()
			}
			quick := options
			quick.SkipReady = true
			var err error
			// Kafka formats its directory before it is started: that is not counted. The exec is the last thing Start does.
			if b, err = rig.Start(ctx, t.kind, quick); err != nil {
				return nil, err
			}
			began = b.Started()
		}
		if err := produceOnce(ctx, b.Addr, "first"); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, b.Log(10))
		}
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(ms)
	return map[string]float64{"p50 ms": ms[len(ms)/2], "p99 ms": ms[min(len(ms)-1, len(ms)*99/100)], "starts": float64(len(ms))}, nil
}

// produceOnce tries until a record is acknowledged, creating the topic on the way if need be.
func produceOnce(ctx context.Context, addr, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	produce := kmsg.NewPtrProduceRequest()
	produce.Version, produce.Acks, produce.TimeoutMillis = 9, -1, 10000
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{
		Records: wire.NewBatch(time.Now().UnixMilli(), wire.Record{Value: []byte("first")}).Encode()}}}}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = 5, 10000
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, 1, 1
	create.Topics = append(create.Topics, ct)
	var c *wire.Conn
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("no acknowledgement: %w", err)
		}
		if c == nil {
			conn, err := wire.Dial(ctx, addr, "bench")
			if err != nil {
				time.Sleep(500 * time.Microsecond) // the port opens in its own time
				continue
			}
			c = conn
		}
		resp, err := c.Do(ctx, produce)
		if err != nil {
			c.Close()
			c = nil
			continue
		}
		switch code := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code {
		case 0:
			return nil
		case 3: // unknown topic
			if _, err := c.Do(ctx, create); err != nil {
				c.Close()
				c = nil
			}
		}
	}
}

func listOffsets(topic string, partitions int32) *kmsg.ListOffsetsRequest {
	q := kmsg.NewPtrListOffsetsRequest()
	q.Version, q.ReplicaID = 4, -1
	lt := kmsg.NewListOffsetsRequestTopic()
	lt.Topic = topic
	for p := range partitions {
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp, lp.CurrentLeaderEpoch = p, -1, -1
		lt.Partitions = append(lt.Partitions, lp)
	}
	q.Topics = append(q.Topics, lt)
	return q
}

// ensureTopic creates a topic and waits until all its partitions answer.
func ensureTopic(ctx context.Context, addr, topic string, partitions int32) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	c, err := wire.Dial(ctx, addr, "bench")
	if err != nil {
		return err
	}
	defer c.Close()
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Version, create.TimeoutMillis = 5, 120000
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, partitions, 1
	create.Topics = append(create.Topics, ct)
	if _, err := c.Do(ctx, create); err != nil {
		return err
	}
	for {
		resp, err := c.Do(ctx, listOffsets(topic, partitions))
		if err != nil {
			return err
		}
		missing := 0
		for _, p := range resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
			if p.ErrorCode != 0 {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d partitions of %s have no leader: %w", missing, partitions, topic, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// manyStart measures the start of a node that has many partitions, each with a record, after a clean shutdown. Ready means that every
// partition answers.
func manyStart(ctx context.Context, t target, partitions int) (map[string]float64, error) {
	b, err := rig.Start(ctx, t.kind, rig.Options{Properties: properties(t.kind, pageCache), CPUs: t.o.cpus, ReadyTimeout: 3 * time.Minute})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := ensureTopic(ctx, b.Addr, "many", int32(partitions)); err != nil {
		return nil, err
	}
	c, err := wire.Dial(ctx, b.Addr, "bench")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	record := wire.NewBatch(time.Now().UnixMilli(), wire.Record{Value: []byte("one")}).Encode()
	for from := 0; from < partitions; from += 500 {
		q := kmsg.NewPtrProduceRequest()
		q.Version, q.Acks, q.TimeoutMillis = 9, 1, 60000
		topic := kmsg.ProduceRequestTopic{Topic: "many"}
		for p := from; p < min(from+500, partitions); p++ {
			topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(p), Records: bytes.Clone(record)})
		}
		q.Topics = append(q.Topics, topic)
		if _, err := c.Do(ctx, q); err != nil {
			return nil, err
		}
	}
	c.Close()
	stopping := time.Now()
	if err := b.Stop(); err != nil {
		return nil, err
	}
	stopped := time.Since(stopping)
	b.SkipReady(true)
	began := time.Now()
	if err := b.Restart(ctx); err != nil {
		return nil, err
	}
	if err := allAnswer(ctx, b, int32(partitions)); err != nil {
		return nil, err
	}
	took := time.Since(began)
	u, err := b.Usage()
	if err != nil {
		return nil, err
	}
	return map[string]float64{"ms": float64(took.Milliseconds()), "stop ms": float64(stopped.Milliseconds()), "CPU ms": float64(u.CPU.Milliseconds()),
		"RSS MiB": float64(u.RSSBytes) / (1 << 20), "open files": float64(u.FDs)}, nil
}

func allAnswer(ctx context.Context, b *rig.Broker, partitions int32) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		c, err := wire.Dial(ctx, b.Addr, "bench")
		if err == nil {
			var resp kmsg.Response
			resp, err = c.Do(ctx, listOffsets("many", partitions))
			c.Close()
			if err == nil {
				missing := 0
				for _, p := range resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
					if p.ErrorCode != 0 {
						missing++
					}
				}
				if missing == 0 {
					return nil
				}
				err = fmt.Errorf("%d partitions do not answer yet", missing)
			}
		}
		select {
		case <-b.Done():
			return fmt.Errorf("the broker ended: %s", b.Log(10))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// floor runs the append-and-fdatasync program on the disk that brokers' data lies on.
func floor(ctx context.Context, t target, files, block int) (map[string]float64, error) {
	dir, err := os.MkdirTemp("", "floor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	answer, err := bare(ctx, t.o, dir, "./bench/floor", "-files", strconv.Itoa(files), "-block", strconv.Itoa(block), "-duration", t.o.duration.String())
	if err != nil {
		return nil, err
	}
	return map[string]float64{"MB/s": answer.MB, "p50 ms": answer.Flush["p50"], "p99 ms": answer.Flush["p99"]}, nil
}
