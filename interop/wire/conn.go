// Package wire is one Kafka connection with nothing in between: a request goes out exactly as it was filled in, at exactly the version it
// names, and the answer comes back as bytes and as a decoded struct. It retries nothing, negotiates nothing and hides no error code, which
// is what a comparison of two brokers needs and what a real client would never do.
package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answerBytesMax bounds one answer, so that a broken broker cannot make a test allocate without limit.
const answerBytesMax = 128 << 20

// Conn is one connection. Not safe for concurrent use.
type Conn struct {
	nc          net.Conn
	format      *kmsg.RequestFormatter
	correlation int32
	buf         []byte
}

// Dial opens a connection to a broker; clientID goes into every request header.
func Dial(ctx context.Context, addr, clientID string) (*Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	return &Conn{nc: nc, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID))}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Net is the socket below, for those who want to write bytes that are no request.
func (c *Conn) Net() net.Conn { return c.nc }

// Do sends req at the version it carries and decodes the answer. An answer that kmsg cannot decode, and one that has bytes left over after
// decoding, are both errors: each means that the broker and the schema disagree.
func (c *Conn) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if err := c.Send(ctx, req); err != nil {
		return nil, err
	}
	return c.Receive(ctx, req)
}

// Send writes one request and does not wait.
func (c *Conn) Send(ctx context.Context, req kmsg.Request) error {
	c.setDeadline(ctx)
	c.correlation++
	c.buf = c.format.AppendRequest(c.buf[:0], req, c.correlation)
	if _, err := c.nc.Write(c.buf); err != nil {
		return fmt.Errorf("send %s v%d: %w", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return nil
}

// Receive reads the answer to req, the last request sent.
func (c *Conn) Receive(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	c.setDeadline(ctx)
	what := fmt.Sprintf("%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
	frame, err := c.readFrame()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	body, err := c.stripHeader(frame, req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if req.Key() == int16(kmsg.ApiVersions) && len(body) >= 2 && int16(binary.BigEndian.Uint16(body)) == 35 {
		resp.SetVersion(0) // UNSUPPORTED_VERSION is always answered in the first version's form
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%s: decode an answer of %d bytes: %w", what, len(body), err)
	}
	if again := resp.AppendTo(nil); len(again) != len(body) {
		return resp, fmt.Errorf("%s: the answer has %d bytes, of which the schema explains %d", what, len(body), len(again))
	}
	return resp, nil
}

func (c *Conn) stripHeader(frame []byte, req kmsg.Request) ([]byte, error) {
	if len(frame) < 4 {
		return nil, fmt.Errorf("an answer of %d bytes has no correlation id", len(frame))
	}
	if got := int32(binary.BigEndian.Uint32(frame)); got != c.correlation {
		return nil, fmt.Errorf("answer carries correlation id %d, request had %d", got, c.correlation)
	}
	body := frame[4:]
	if !req.IsFlexible() || req.Key() == int16(kmsg.ApiVersions) {
		return body, nil
	}
	tags, n := binary.Uvarint(body)
	if n <= 0 {
		return nil, errors.New("answer header has no tag section")
	}
	if tags != 0 {
		return nil, fmt.Errorf("answer header carries %d tags, of which none is known", tags)
	}
	return body[n:], nil
}

func (c *Conn) readFrame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.nc, size[:]); err != nil {
		return nil, fmt.Errorf("read the answer's length: %w", err)
	}
	n := int32(binary.BigEndian.Uint32(size[:]))
	if n < 0 || n > answerBytesMax {
		return nil, fmt.Errorf("answer claims %d bytes", n)
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(c.nc, frame); err != nil {
		return nil, fmt.Errorf("read an answer of %d bytes: %w", n, err)
	}
	return frame, nil
}

func (c *Conn) setDeadline(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(30 * time.Second)
	}
	_ = c.nc.SetDeadline(deadline)
}

// Plain says in words without addresses what went wrong with a connection.
func Plain(err error) error {
	var netErr net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("connection closed")
	case errors.As(err, &netErr) && netErr.Timeout():
		return errors.New("no answer in time")
	}
	return err
}
