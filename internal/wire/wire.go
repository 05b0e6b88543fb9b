// Package wire knows the bytes between a client and the broker: frames, request and response headers, the table of API versions,
// and own codecs for the two messages that carry records (Produce and Fetch), so that record bytes are never copied or held twice.
//
// Core: it reads and writes byte slices, knows no socket, no topic and no group. Every length is checked against the bytes that
// are there before anything is allocated for it. Start reading at versions.go.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FrameError says why a frame cannot be answered; Kafka closes the connection then, and so do we.
type FrameError struct {
	Reason string
}

func (e *FrameError) Error() string { return e.Reason }

func badFrame(format string, args ...any) error {
	return &FrameError{Reason: fmt.Sprintf(format, args...)}
}

// FrameSize reads the four bytes before each message and checks them against limit (socket.request.max.bytes).
func FrameSize(prefix [4]byte, limit int) (int, error) {
	n := int32(binary.BigEndian.Uint32(prefix[:]))
	switch {
	case n < 0:
		return 0, badFrame("negative request size %d", n)
	case int(n) > limit:
		if looksLikeText(prefix) {
			return 0, badFrame("the first bytes are %q: this port speaks the Kafka protocol, not HTTP or TLS", string(prefix[:]))
		}
		return 0, badFrame("request size %d is above socket.request.max.bytes=%d", n, limit)
	}
	return int(n), nil
}

// looksLikeText recognises the usual strangers: an HTTP verb or a TLS client hello.
func looksLikeText(p [4]byte) bool {
	if p[0] == 0x16 && p[1] == 0x03 {
		return true
	}
	for _, c := range p {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// RequestHeader is what stands before every request body.
type RequestHeader struct {
	Key, Version  int16
	CorrelationID int32
	// ClientID aliases the frame; null is "".
	ClientID []byte
}

// minHeader is key, version and correlation id.
const minHeader = 8

// ParseHeader splits a frame into its header and body. A header of an unknown key or version is returned together with an
// *UnsupportedError, with the key, version and correlation id filled in, since ApiVersions must be answered even then.
func ParseHeader(frame []byte) (h RequestHeader, body []byte, err error) {
	if len(frame) < minHeader {
		return h, nil, badFrame("request of %d bytes is shorter than a header", len(frame))
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	if !Supports(h.Key, h.Version) {
		return h, nil, &UnsupportedError{Key: h.Key, Version: h.Version}
	}
	r := Reader{buf: frame[minHeader:]}
	h.ClientID = r.NullableString16()
	if flexible(h.Key, h.Version) {
		r.SkipTags()
	}
	if r.bad {
		return h, nil, badFrame("%s v%d: header is cut short", KeyName(h.Key), h.Version)
	}
	return h, r.buf, nil
}

// UnsupportedError is a request of a key or version that Versions does not list.
type UnsupportedError struct{ Key, Version int16 }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s (key %d) version %d is not supported here", KeyName(e.Key), e.Key, e.Version)
}

// AppendResponseHeader starts a response: room for the size, which FinishResponse fills in, then the header.
func AppendResponseHeader(dst []byte, h RequestHeader) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.CorrelationID))
	// A client cannot know the version yet when it reads the answer to ApiVersions: its header is always the old one.
	if h.Key != KeyApiVersions && flexible(h.Key, h.Version) {
		dst = append(dst, 0)
	}
	return dst
}

// FinishResponse writes the size of a response that starts at start in dst; extra bytes follow from elsewhere (file ranges).
func FinishResponse(dst []byte, start int, extra int64) error {
	n := int64(len(dst)-start-4) + extra
	if n > 1<<31-1 {
		return errors.New("response is larger than 2 GiB")
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(n))
	return nil
}
