package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func heartbeats() []*kmsg.HeartbeatRequest {
	var out []*kmsg.HeartbeatRequest
	for v := int16(0); v <= 4; v++ {
		for _, instance := range []*string{nil, kmsg.StringPtr("seat-1"), kmsg.StringPtr("")} {
			q := kmsg.NewPtrHeartbeatRequest()
			q.Version, q.Group, q.Generation, q.MemberID, q.InstanceID = v, "orders", 7, "client-1b4e28ba", instance
			out = append(out, q)
		}
	}
	return out
}

func TestHeartbeatIsDecodedAsKmsgDoes(t *testing.T) {
	var got HeartbeatRequest // one for all: nothing of the last must be left
	for _, q := range heartbeats() {
		q.UnknownTags.Set(77, []byte("unknown"))
		body := q.AppendTo(nil)
		for _, b := range [][]byte{body, append(body, 1, 2, 3)} { // bytes behind the body are no fault
			if err := got.Decode(q.Version, b); err != nil {
				t.Fatalf("v%d: %v", q.Version, err)
			}
			instance := ""
			if q.Version >= 3 && q.InstanceID != nil {
				instance = *q.InstanceID
			}
			if got.Group != q.Group || got.Generation != q.Generation || got.Member != q.MemberID || got.Instance != instance {
				t.Fatalf("v%d: %+v", q.Version, got)
			}
		}
		for cut := range body {
			var frame *FrameError
			if err := new(HeartbeatRequest).Decode(q.Version, body[:cut]); !errors.As(err, &frame) {
				t.Fatalf("v%d cut at %d of %d: %v", q.Version, cut, len(body), err)
			}
		}
	}
}

func TestHeartbeatDoesNotKeepTheFrame(t *testing.T) {
	q := heartbeats()[13]
	body := q.AppendTo(nil)
	var got HeartbeatRequest
	if err := got.Decode(q.Version, body); err != nil {
		t.Fatal(err)
	}
	clear(body)
	if got.Group != "orders" || got.Member != "client-1b4e28ba" || got.Instance != "seat-1" {
		t.Errorf("%+v changed with the frame", got)
	}
}

func TestHeartbeatAnswers(t *testing.T) {
	for _, q := range heartbeats() {
		got := AppendHeartbeatResponse([]byte("before"), RequestHeader{Key: KeyHeartbeat, Version: q.Version, CorrelationID: 9}, 27)
		want := AppendResponseHeader([]byte("before"), RequestHeader{Key: KeyHeartbeat, Version: q.Version, CorrelationID: 9})
		resp := q.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = 27
		want = resp.AppendTo(want)
		if err := FinishResponse(want, len("before"), 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("v%d: % x, want % x", q.Version, got, want)
		}
	}
}

func TestTheSameHeartbeatAgainAllocatesNothing(t *testing.T) {
	body := heartbeats()[13].AppendTo(nil)
	var q HeartbeatRequest
	if n := testing.AllocsPerRun(100, func() {
		if q.Decode(4, body) != nil || q.Group != "orders" {
			t.Fatal("not decoded")
		}
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

// Whatever arrives: refused, or what kmsg makes of it, whatever was decoded before.
func FuzzHeartbeat(f *testing.F) {
	for _, q := range heartbeats() {
		f.Add(q.Version, q.AppendTo(nil))
	}
	f.Add(int16(4), []byte{2, 'g', 0, 0, 0, 1, 2, 'm', 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(int16(0), []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0})
	var got HeartbeatRequest
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		if !Supports(KeyHeartbeat, version) {
			return
		}
		_, refused := CheckBody(KeyHeartbeat, version, body, 1<<30)
		want := kmsg.NewPtrHeartbeatRequest()
		want.Version = version
		if refused == nil {
			refused = want.ReadFrom(body)
		}
		err := got.Decode(version, body)
		if (err != nil) != (refused != nil) {
			t.Fatalf("v%d: %v, kmsg says %v", version, err, refused)
		}
		if err != nil {
			return
		}
		instance := ""
		if want.InstanceID != nil {
			instance = *want.InstanceID
		}
		if got.Group != want.Group || got.Generation != want.Generation || got.Member != want.MemberID || got.Instance != instance {
			t.Fatalf("%+v, kmsg has %+v", got, want)
		}
	})
}
