package wire

import (
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every field of a request: n elements in each array, text of n bytes.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int:
		v.SetInt(3)
	case reflect.Uint8:
		v.SetUint(3)
	}
}

// tagEverything puts an unknown tag into every struct.
func tagEverything(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			tagEverything(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			tagEverything(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tags, ok := v.Field(i).Addr().Interface().(*kmsg.Tags); ok {
				tags.Set(77, []byte("unknown"))
			} else if v.Type().Field(i).IsExported() {
				tagEverything(v.Field(i))
			}
		}
	}
}

func eachBody(do func(key, version int16, q kmsg.Request)) {
	for _, r := range Versions() {
		if r.Key == KeyProduce {
			continue // has a decoder of its own
		}
		for v := r.Min; v <= r.Max; v++ {
			q := kmsg.RequestForKey(r.Key)
			q.SetVersion(v)
			do(r.Key, v, q)
		}
	}
}

const plenty = 1 << 30

// The shapes agree with kmsg: a body is accepted whole, and not with a byte less.
func TestCheckBodyKnowsTheShapeOfEveryRequest(t *testing.T) {
	eachBody(func(key, version int16, q kmsg.Request) {
		for _, n := range []int{0, 1, 3} {
			fill(reflect.ValueOf(q).Elem(), n)
			q.SetVersion(version)
			for _, tagged := range []bool{false, true} {
				if tagged {
					tagEverything(reflect.ValueOf(q))
				}
				body := q.AppendTo(nil)
				weight, err := CheckBody(key, version, body, plenty)
				if err != nil || weight < int64(len(body)) {
					t.Fatalf("%s v%d with %d of everything: weight %d, %v", KeyName(key), version, n, weight, err)
				}
				for cut := range body {
					if _, err := CheckBody(key, version, body[:cut], plenty); err == nil {
						t.Fatalf("%s v%d with %d of everything, cut at %d of %d, is accepted", KeyName(key), version, n, cut, len(body))
					}
				}
			}
		}
	})
}

func TestCheckBodyAcceptsNulls(t *testing.T) {
	eachBody(func(key, version int16, q kmsg.Request) {
		if _, err := CheckBody(key, version, q.AppendTo(nil), plenty); err != nil {
			t.Errorf("%s v%d with nothing set: %v", KeyName(key), version, err)
		}
	})
}

// A count of tags that the bytes cannot hold costs a decoder up to 2^32 rounds.
func TestCheckBodyRefusesLyingCountsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		key, version int16
		body         []byte
	}{ // any order: independent
		"2^32-1 tags":                   {KeyMetadata, 12, []byte{1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		"2^32-1 tags inside of a tag":   {KeyFetch, 15, append(make([]byte, 4+4+4+1+4+4), 1, 1, 1, 1, 1, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f)},
		"an array of 2^31-1":            {KeyCreateTopics, 2, []byte{0x7f, 0xff, 0xff, 0xff, 0, 1, 'a'}},
		"an array of -2":                {KeyCreateTopics, 2, []byte{0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0}},
		"a compact array of 2^32-2":     {KeyMetadata, 12, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0}},
		"a string of -2":                {KeyFindCoordinator, 0, []byte{0xff, 0xfe}},
		"a string longer than the body": {KeyFindCoordinator, 0, []byte{0x7f, 0xff, 'a'}},
		"a length of more than 5 bytes": {KeyMetadata, 12, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0, 0}},
	} {
		var frame *FrameError
		if _, err := CheckBody(c.key, c.version, c.body, plenty); !errors.As(err, &frame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckBodyBoundsWhatDecodingMayTake(t *testing.T) {
	q := kmsg.NewPtrDescribeLogDirsRequest()
	q.Version = 2
	q.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "t", Partitions: make([]int32, 1000)}}
	body := q.AppendTo(nil)
	weight, err := CheckBody(q.Key(), q.Version, body, plenty)
	if want := int64(len(body) + 1001*elementWeight); err != nil || weight != want {
		t.Fatalf("weight %d, %v; want %d", weight, err, want)
	}
	if _, err := CheckBody(q.Key(), q.Version, body, weight); err != nil {
		t.Errorf("its own weight is refused: %v", err)
	}
	if _, err := CheckBody(q.Key(), q.Version, body, weight-1); err == nil {
		t.Error("a byte less is accepted")
	}
	if _, err := CheckBody(q.Key(), q.Version, body, 10); err == nil {
		t.Error("less than the body itself is accepted")
	}
}

func TestNoStructIsHeavierThanItsWeight(t *testing.T) {
	var look func(reflect.Type)
	look = func(ty reflect.Type) {
		switch ty.Kind() {
		case reflect.Pointer:
			look(ty.Elem())
		case reflect.Slice:
			if ty.Elem().Size() > elementWeight {
				t.Errorf("%v takes %d bytes", ty.Elem(), ty.Elem().Size())
			}
			look(ty.Elem())
		case reflect.Struct:
			for i := range ty.NumField() {
				look(ty.Field(i).Type)
			}
		}
	}
	eachBody(func(_, _ int16, q kmsg.Request) { look(reflect.TypeOf(q)) })
	if s := unsafe.Sizeof(ProducePartition{}) + unsafe.Sizeof(ProduceResult{}); s > elementWeight {
		t.Errorf("a partition of Produce takes %d bytes", s)
	}
}

// What CheckBody accepts takes no more memory to decode than it said, if it can be decoded: kmsg also refuses null where it has no meaning.
func FuzzCheckBody(f *testing.F) {
	eachBody(func(key, version int16, q kmsg.Request) {
		fill(reflect.ValueOf(q).Elem(), 1)
		q.SetVersion(version)
		tagEverything(reflect.ValueOf(q))
		f.Add(key, version, q.AppendTo(nil))
	})
	f.Add(int16(3), int16(12), binary.AppendUvarint([]byte{1, 0, 0}, 1<<32-1))
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if !Supports(key, version) || key == KeyProduce {
			return
		}
		weight, err := CheckBody(key, version, body, 1<<20)
		if err != nil {
			return
		}
		if weight < int64(len(body)) || weight > 1<<20 {
			t.Fatalf("weight %d of %d bytes", weight, len(body))
		}
		q := kmsg.RequestForKey(key)
		q.SetVersion(version)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = q.ReadFrom(body)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(weight)+64<<10 { // 64 KiB: others of this process
			t.Fatalf("%s v%d: decoding took %d bytes, its weight was %d", KeyName(key), version, took, weight)
		}
	})
}
