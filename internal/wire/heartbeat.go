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

	// body is what the strings are parts of; tail is how many bytes were behind it, 1 for no tags. "" when a Decode has to look for itself.
	body    string
	tail    int
	version int16
}

// again reports whether q is what the body says already.
func (q *HeartbeatRequest) again(version int16, body []byte) bool {
	n := len(q.body)
	return n > 0 && q.version == version && len(body) == n+q.tail && string(body[:n]) == q.body && (q.tail == 0 || body[n] == 0)
}

// Decode reads a request body; nothing in the result refers to it. Bytes after the body are no fault. The error is a *FrameError.
func (q *HeartbeatRequest) Decode(version int16, body []byte) error {
	if q.again(version, body) {
		return nil
	}
	flex := flexible(KeyHeartbeat, version)
	r := Reader{buf: body}
	// text is a string of the body that was just read from r, and where it ends.
	text := func() (end, n int, null bool) {
		b := r.String(flex)
		return len(body) - r.Len(), len(b), b == nil
	}
	groupEnd, groupLen, noGroup := text()
	generation := r.Int32()
	memberEnd, memberLen, noMember := text()
	instanceEnd, instanceLen := 0, 0
	if version >= 3 {
		instanceEnd, instanceLen, _ = text()
	}
	if flex {
		r.SkipTags()
	}
	if r.bad {
		return badFrame("Heartbeat v%d: body is cut short, or claims lengths that it does not have", version)
	}
	if noGroup || noMember {
		return badFrame("Heartbeat v%d: the group or the member is null", version)
	}
	end := max(memberEnd, instanceEnd) // what follows are tags
	all := string(body[:end])
	*q = HeartbeatRequest{Group: all[groupEnd-groupLen : groupEnd], Generation: generation, Member: all[memberEnd-memberLen : memberEnd],
		Instance: all[instanceEnd-instanceLen : instanceEnd]}
	if end == len(body) || end == len(body)-1 && body[end] == 0 {
		q.body, q.tail, q.version = all, len(body)-end, version
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
