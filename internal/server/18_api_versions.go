package server

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/wire"
)

// ApiVersions (18)
//
// v0  error code and ranges
// v1  throttle time
// v3  flexible; the client names its software (KIP-511); features (KIP-584)
// v4  features whose minimum is 0 may be listed (KAFKA-17011)
func apiVersions(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.ApiVersionsRequest)
	resp := q.ResponseKind().(*kmsg.ApiVersionsResponse)
	if q.Version >= 3 {
		if !validSoftware(q.ClientSoftwareName) || !validSoftware(q.ClientSoftwareVersion) {
			resp.ErrorCode = int16(kafka.InvalidRequest)
			return resp
		}
		r.conn.softwareName, r.conn.softwareVersion = q.ClientSoftwareName, q.ClientSoftwareVersion
	}
	resp.ApiKeys = advertised
	// No feature is finalized: group.version and transaction.version come with the coordinators that honour them.
	resp.FinalizedFeaturesEpoch = int64(s.deps.Cluster.Image().Revision())
	return resp
}

// advertised is what every answer lists. It is only read.
var advertised = func() (out []kmsg.ApiVersionsResponseApiKey) {
	for _, v := range wire.Versions() {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = v.Key, v.Min, v.Max
		out = append(out, k)
	}
	return out
}()

// answerNewerApiVersions answers a version we do not know: in the oldest format, with an error and the range that we do know, so
// that the client can ask again on the same connection.
func answerNewerApiVersions(out []byte, h wire.RequestHeader) []byte {
	start := len(out)
	out = wire.AppendResponseHeader(out, h)
	out = binary.BigEndian.AppendUint16(out, uint16(kafka.UnsupportedVersion))
	for _, v := range wire.Versions() {
		if v.Key == wire.KeyApiVersions {
			out = binary.BigEndian.AppendUint32(out, 1)
			out = binary.BigEndian.AppendUint16(out, uint16(v.Key))
			out = binary.BigEndian.AppendUint16(out, uint16(v.Min))
			out = binary.BigEndian.AppendUint16(out, uint16(v.Max))
		}
	}
	_ = wire.FinishResponse(out, start, 0) // some thirty bytes
	return out
}

// validSoftware is KIP-511's rule for a client's software name and version: [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
func validSoftware(s string) bool {
	alnum := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	if s == "" || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return true
}
