package wire

import "encoding/binary"

// HeartbeatRequest is a decoded Heartbeat. It is meant to be used again: a member says the same every few seconds, and a Decode of what the last
// one was made of allocates nothing.
type HeartbeatRequest struct {
	Group      string
	Generation int32
	Member     string
	// Instance is "" for null.
	Instance string

	body    string // what the strings are parts of
	version int16
}

// keptHeartbeat bounds the body that is kept for the next Decode.
const keptHeartbeat = 1 << 10

// Decode reads a request body; nothing in the result refers to it. Bytes after the body are no fault. The error is a *FrameError.
func (q *HeartbeatRequest) Decode(version int16, body []byte) error {
	if q.version == version && q.body != "" && q.body == string(body) {
		return nil
	}
	flex := flexible(KeyHeartbeat, version)
	r := Reader{buf: body}
	group, generation, member := r.String(flex), r.Int32(), r.String(flex)
	var instance []byte
	if version >= 3 {
		instance = r.String(flex)
	}
	if flex {
		r.SkipTags()
	}
	if r.bad {
		return badFrame("Heartbeat v%d: body is cut short, or claims lengths that it does not have", version)
	}
	if group == nil || member == nil {
		return badFrame("Heartbeat v%d: the group or the member is null", version)
	}
	// One string for all three: they live and die together.
	all := make([]byte, 0, len(group)+len(member)+len(instance))
	all = append(append(append(all, group...), member...), instance...)
	text := string(all)
	*q = HeartbeatRequest{Group: text[:len(group)], Generation: generation, Member: text[len(group) : len(group)+len(member)], Instance: text[len(group)+len(member):]}
	if len(body) <= keptHeartbeat {
		q.body, q.version = string(body), version
	}
	return nil
}

// AppendHeartbeatResponse appends a whole response frame.
func AppendHeartbeatResponse(dst []byte, h RequestHeader, code int16) []byte {
	start := len(dst)
	dst = AppendResponseHeader(dst, h)
	if h.Version >= 1 {
		dst = binary.BigEndian.AppendUint32(dst, 0) // throttle_time_ms
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	if flexible(KeyHeartbeat, h.Version) {
		dst = append(dst, 0)
	}
	_ = FinishResponse(dst, start, 0) // some twenty bytes
	return dst
}
