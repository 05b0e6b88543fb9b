package barnabastest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics asks the broker over its own protocol, as any client would.
func (b *Broker) createTopics() error {
	if len(b.options.topics) == 0 {
		return nil
	}
	q := kmsg.NewPtrCreateTopicsRequest()
	q.Version, q.TimeoutMillis = 7, 30_000
	for _, t := range b.options.topics {
		if len(t.settings)%2 != 0 {
			return fmt.Errorf("create topic %s: settings are names and values in turn, there are %d", t.name, len(t.settings))
		}
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.name, int32(t.partitions), 1
		for i := 0; i < len(t.settings); i += 2 {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = t.settings[i], &t.settings[i+1]
			rt.Configs = append(rt.Configs, c)
		}
		q.Topics = append(q.Topics, rt)
	}
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.Version = q.Version
	if err := b.ask(q, resp); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			text := ""
			if t.ErrorMessage != nil {
				text = *t.ErrorMessage
			}
			return fmt.Errorf("create topic %s: error %d: %s", t.Topic, t.ErrorCode, text)
		}
	}
	return nil
}

// ask sends one flexible request on a connection of its own.
func (b *Broker) ask(q kmsg.Request, resp kmsg.Response) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	nc, err := b.Dialer()(ctx, "tcp", b.address)
	if err != nil {
		return err
	}
	defer nc.Close()
	deadline, _ := ctx.Deadline()
	if err := nc.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := nc.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("barnabastest")).AppendRequest(nil, q, 1)); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(nc, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(nc, frame); err != nil {
		return err
	}
	const header = 4 + 1 // correlation id, no tags
	if len(frame) < header {
		return io.ErrUnexpectedEOF
	}
	return resp.ReadFrom(frame[header:])
}
