package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Repeat is a request that is sent again and again, byte for byte, by a driver that must leave the machine to the broker: nothing is encoded or
// decoded anew, and an answer must have the bytes of the first one.
type Repeat struct {
	c           *Conn
	what        string
	frame, want []byte
	got         []byte
}

// Repeat sends req once and gives its answer; Again sends it once more. Nothing else may use the connection from then on. ctx bounds all of it.
func (c *Conn) Repeat(ctx context.Context, req kmsg.Request) (*Repeat, kmsg.Response, error) {
	if err := c.Send(ctx, req); err != nil {
		return nil, nil, err
	}
	r := &Repeat{c: c, what: fmt.Sprintf("%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion()), frame: bytes.Clone(c.buf)}
	answer, err := c.readFrame()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.what, err)
	}
	body, err := c.stripHeader(answer, req)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.what, err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(body); err != nil {
		return nil, nil, fmt.Errorf("%s: decode an answer of %d bytes: %w", r.what, len(body), err)
	}
	r.want = append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)
	r.got = make([]byte, len(r.want))
	return r, resp, nil
}

// Again sends the request and waits for its answer.
func (r *Repeat) Again() error {
	if _, err := r.c.nc.Write(r.frame); err != nil {
		return fmt.Errorf("send %s: %w", r.what, err)
	}
	if _, err := io.ReadFull(r.c.nc, r.got); err != nil {
		return fmt.Errorf("%s: read the answer: %w", r.what, err)
	}
	if !bytes.Equal(r.got, r.want) {
		return fmt.Errorf("%s: the answer is not what the first one was: %x, and %x", r.what, r.got, r.want)
	}
	return nil
}
