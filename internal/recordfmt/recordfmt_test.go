package recordfmt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var sample = Record{
	Topic: "orders", Partition: 3, Offset: 42, LeaderEpoch: 7, Timestamp: 1767225600123,
	Key: []byte("k1"), Value: []byte("hello \"w\"\n"),
	Headers: []Header{{"a", []byte("1")}, {"b", nil}},
}

func TestAppend(t *testing.T) {
	null := Record{Topic: "t"}
	cases := []struct {
		name, format string
		rec          Record
		want         string
	}{
		{"the value on a line", `%v\n`, sample, "hello \"w\"\n\n"},
		{"kcat's %s is the value", `%s`, sample, "hello \"w\"\n"},
		{"where it is", `%t-%p@%o e%e #%i`, sample, "orders-3@42 e7 #9"},
		{"lengths", `%K %V %S %H`, sample, "2 10 10 2"},
		{"lengths of nulls are -1", `%K %V %H`, null, "-1 -1 0"},
		{"nulls are empty text", `[%k][%v][%h]`, null, "[][][]"},
		{"binary lengths", `%K{big32}%V{little16}%p{byte}%o{big64}`, sample, "\x00\x00\x00\x02\x0a\x00\x03\x00\x00\x00\x00\x00\x00\x00\x2a"},
		{"a null's length in binary is all ones", `%K{big32}`, null, "\xff\xff\xff\xff"},
		{"hex numbers", `%o{hex}`, sample, "2a"},
		{"times", `%T %T{ms} %T{s} %T{rfc3339}`, sample, "1767225600123 1767225600123 1767225600 2026-01-01T00:00:00.123Z"},
		{"seconds before 1970 round down", `%T{s}`, Record{Timestamp: -1}, "-1"},
		{"text forms", `%k{hex} %k{base64} %v{json}`, sample, `6b31 azE= "hello \"w\"\n"`},
		{"a null in JSON", `%v{json}`, null, "null"},
		{"plain headers", `%h`, sample, "a=1,b="},
		{"a header group", `%h{%K:%k=%v(%V);}`, sample, "1:a=1(1);1:b=(-1);"},
		{"escapes", `a\tb\x41\\\0%%\n`, sample, "a\tbA\\\x00%\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.format)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(f.Append(nil, &c.rec, 9))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for format, want := range map[string]string{
		`%`:         "write %% for one",
		`%q`:        "no verb %q",
		`\`:         `write \\ for one`,
		`\q`:        `no escape \q`,
		`\x4`:       "two hexadecimal digits",
		`%k{`:       "no }",
		`%k{big32}`: "no form {big32} for %k",
		`%o{json}`:  "no form {json} for %o",
		`%h{%k`:     "no }",
		`%h{}`:      "empty header group",
		`%h{%t}`:    "no verb %t in a header group",
	} {
		_, err := Parse(format)
		var se *SyntaxError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want it to say %q", format, err, want)
		}
	}
}

func TestRead(t *testing.T) {
	type records []Record
	kv := func(k, v string) Record { return Record{Key: []byte(k), Value: []byte(v)} }
	v := func(v string) Record { return Record{Value: []byte(v)} }
	cases := []struct {
		name, format, in string
		want             records
		err              string
	}{
		{"lines", `%v\n`, "a\nb\n", records{v("a"), v("b")}, ""},
		{"the last line may lack its end", `%v\n`, "a\nb", records{v("a"), v("b")}, ""},
		{"an empty line is an empty value", `%v\n`, "\na\n", records{v(""), v("a")}, ""},
		{"nothing", `%v\n`, "", nil, ""},
		{"key and value", `%k:%v\n`, "k:v\nl:w:x\n", records{kv("k", "v"), kv("l", "w:x")}, ""},
		{"an end of several bytes", `%k=>%v\n`, "a=b=>c\n", records{kv("a=b", "c")}, ""},
		{"an end that overlaps itself", `%kaab%v\n`, "xaaab1\n", records{kv("xa", "1")}, ""},
		{"all of the input", `%v`, "a\nb\n", records{v("a\nb\n")}, ""},
		{"lengths", `%K{big16}%V{big16}%k%v`, "\x00\x01\x00\x02abc\x00\x00\xff\xff", records{kv("a", "bc"), {Key: []byte{}}}, ""},
		{"ascii lengths", `%V,%v\n`, "3,a\nb\n", records{v("a\nb")}, ""},
		{"hex and base64", `%k{hex} %v{base64}\n`, "6b31 aGk=\n", records{kv("k1", "hi")}, ""},
		{"JSON text", `%k{json}%v{json}\n`, "\"a\\\"\"null\n", records{{Key: []byte(`a"`)}}, ""},
		{"partition, time, headers", `%p %T{rfc3339} %h %v\n`, "2 2026-01-01T00:00:00.123Z a=1,b= x\n",
			records{{Partition: 2, Timestamp: 1767225600123, Headers: []Header{{"a", []byte("1")}, {"b", []byte{}}}, Value: []byte("x")}}, ""},
		{"a number before a dash", `%p-%v\n`, "3-x\n", records{{Partition: 3, Value: []byte("x")}}, ""},
		{"a header group", `%H %h{%k=%v;}%v\n`, "2 a=1;b=;x\n", records{{Headers: []Header{{"a", []byte("1")}, {"b", []byte{}}}, Value: []byte("x")}}, ""},
		{"offsets are read and ignored", `%o %v\n`, "99 x\n", records{v("x")}, ""},

		{"no separator", `%k:%v\n`, "a:b\nnope\n", records{kv("a", "b")}, `line 2: no ":" after %k in "nope"`},
		{"no separator, and a line after it", `%k:%v\n`, "a:b\nnope\nc:d\n", records{kv("a", "b")}, `line 2: no ":" after %k in "nope"`},
		{"an empty line has no separator", `%k=>%v\n`, "a=>b\n\nc=>d\n", records{kv("a", "b")}, `line 2: no "=>" after %k in ""`},
		{"a line break in a key, where records are not lines", `%k:%v;`, "a\nb:c\n;", records{kv("a\nb", "c\n")}, ""},
		{"a line break in a key of known length", `%K:%k:%v\n`, "3:a\nb:c\n", records{kv("a\nb", "c")}, ""},
		{"a length without its bytes", `%V{big32}%v`, "\x00\x00\x00\x09abc", nil, "the input ends inside a record"},
		{"a negative length", `%V{big32}%v`, "\xff\xff\xff\xfeabc", nil, "the length of %v is -2"},
		{"a length above the limit", `%V{big32}%v`, "\x7f\xff\xff\xffabc", nil, "the limit is 100"},
		{"a field above the limit", `%v\n`, strings.Repeat("x", 101) + "\n", nil, "longer than the limit of 100"},
		{"not hexadecimal", `%v{hex}\n`, "xy\n", nil, `line 1: %v is not hexadecimal: "xy"`},
		{"not base64", `%v{base64}\n`, "a\n", nil, `%v is not base64`},
		{"not a number", `%p %v\n`, "x y\n", nil, `%p is not a number: ""`},
		{"not a partition", `%p %v\n`, "-1 y\n", nil, `-1 is not a partition`},
		{"another literal", `<%v>`, "(a)", nil, `expected "<", found '('`},
		{"a lying number of headers", `%H{big32}%h{%k=%v;}`, "\x7f\xff\xff\xff", nil, "the number of headers is 2147483647"},
		{"a header without =", `%h %v\n`, "a x\n", nil, `header "a" is not name=value`},
	}
	for _, c := range cases {
		for _, slow := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				f, err := Parse(c.format)
				if err != nil {
					t.Fatal(err)
				}
				var in io.Reader = strings.NewReader(c.in)
				if slow {
					in = iotest.OneByteReader(in)
				}
				r, err := NewReader(in, f, 100)
				if err != nil {
					t.Fatal(err)
				}
				var got records
				for {
					var rec Record
					if err = r.Read(&rec); err != nil {
						break
					}
					got = append(got, rec)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if c.err == "" && err != io.EOF || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("ended with %v, want %q", err, c.err)
				}
				if again := r.Read(&Record{}); again != io.EOF {
					t.Errorf("after the end: %v, want io.EOF", again)
				}
			})
		}
	}
}

func TestNewReaderRefuses(t *testing.T) {
	for format, want := range map[string]string{
		`%k%v\n`:               "nothing ends %k before %v",
		`%p%V%v`:               "nothing ends the number %p",
		`%v:%v`:                "appears twice",
		`text`:                 "no verb",
		`%h{%k=%v;}`:           "needs %H before it",
		`%H %h`:                "%H needs a braced %h",
		`%H %h{%k=%v}`:         "nothing ends %v in %h{...}",
		`%H %h{%k%v;}`:         "nothing ends header %k before header %v",
		`%V{byte}%k%v`:         "nothing ends %k before %v",
		`%K{byte}%V{byte}%v%t`: "", // sized value, topic to the end
	} {
		f, err := Parse(format)
		if err != nil {
			t.Fatalf("%q: %v", format, err)
		}
		_, err = NewReader(strings.NewReader(""), f, 100)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("NewReader(%q) = %v, want it to say %q", format, err, want)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, rec := range []Record{sample, {}, {Key: []byte{}, Value: []byte{0xff, 0}, Headers: []Header{{"\xfe", []byte{0xc3}}}}} {
		line := AppendJSON(nil, &rec)
		if bytes.ContainsAny(line, "\n\r") {
			t.Errorf("more than one line: %s", line)
		}
		var got Record
		has, err := ParseJSON(line, &got)
		if err != nil || !has.Partition || !has.Timestamp {
			t.Fatalf("%s: %v %v", line, has, err)
		}
		want := Record{Key: rec.Key, Value: rec.Value, Headers: rec.Headers, Partition: rec.Partition, Timestamp: rec.Timestamp}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n-want +got\n%s", line, diff)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for line, want := range map[string]string{
		`{`:                                   "not a JSON record",
		`{"valeu":"x"}`:                       `unknown field "valeu"`,
		`{"value":1}`:                         `"value" cannot be a JSON number`,
		`{"value":"a"} {}`:                    "something follows",
		`{"value":"a","value_base64":""}`:     "there twice",
		`{"key_base64":"?"}`:                  "the key is not base64",
		`{"partition":-1}`:                    "-1 is not a partition",
		`{"timestamp":"soon"}`:                "neither milliseconds nor a time",
		`{"headers":[{"value":"x"}]}`:         "a header without a key",
		`{"headers":[{"key":"x","value":1}]}`: "cannot be a JSON number",
	} {
		if _, err := ParseJSON([]byte(line), &Record{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseJSON(%s) = %v, want it to say %q", line, err, want)
		}
	}
}

// FuzzLossless: what a format with lengths writes, it reads back unchanged, nulls included.
func FuzzLossless(f *testing.F) {
	f.Add([]byte("k"), []byte("v"), "h", []byte("x"), int64(5), uint8(0))
	f.Add([]byte("\n"), []byte{}, "", []byte{0}, int64(-5), uint8(7))
	formats := []string{
		`%T %K{big32}%V{big32}%H{big16}%k%v%h{%K{big32}%V{big32}%k%v}`,
		`%T,%K,%k,%V,%v,%H,%h{%K,%k,%V,%v}\n`,
		`%T{hex} %K %k{hex} %V %v{base64} %H %h{%K %k{base64} %V %v{hex}}`,
	}
	f.Fuzz(func(t *testing.T, key, value []byte, hk string, hv []byte, ts int64, nulls uint8) {
		in := Record{Key: append([]byte{}, key...), Value: append([]byte{}, value...), Timestamp: ts,
			Headers: []Header{{hk, append([]byte{}, hv...)}}}
		if nulls&1 != 0 {
			in.Key = nil
		}
		if nulls&2 != 0 {
			in.Value = nil
		}
		if nulls&4 != 0 {
			in.Headers[0].Value = nil
		}
		for _, text := range formats {
			fm, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			out := fm.Append(fm.Append(nil, &in, 1), &in, 2)
			r, err := NewReader(bytes.NewReader(out), fm, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var got Record
				if err := r.Read(&got); err != nil {
					t.Fatalf("%s: %v from %q", text, err, out)
				}
				if diff := cmp.Diff(in, got); diff != "" {
					t.Fatalf("%s -want +got\n%s", text, diff)
				}
			}
			if err := r.Read(&Record{}); err != io.EOF {
				t.Fatalf("%s: %v at the end", text, err)
			}
		}
	})
}

// FuzzFormat: any format over any input ends in records or an error, never a panic or a loop.
func FuzzFormat(f *testing.F) {
	f.Add(`%k:%v\n`, []byte("a:b\n"))
	f.Add(`%H{byte}%h{%K{byte}%k%V{big32}%v}%T{rfc3339} %v{json}`, []byte("\x01\x01aaaa"))
	f.Fuzz(func(t *testing.T, text string, in []byte) {
		fm, err := Parse(text)
		if err != nil {
			return
		}
		fm.Append(nil, &sample, 1)
		r, err := NewReader(bytes.NewReader(in), fm, 1000)
		if err != nil {
			return
		}
		for range len(in) + 1 {
			var rec Record
			if err := r.Read(&rec); err != nil {
				return
			}
			if len(rec.Value) > 1000 || len(rec.Key) > 1000 {
				t.Fatalf("a field of %d bytes passed the limit", max(len(rec.Value), len(rec.Key)))
			}
		}
		t.Fatalf("more records than bytes from %q", in)
	})
}

// FuzzJSON: any line parses or is refused; what parses is written and parsed to the same.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"key":"a","value_base64":"AA==","headers":[{"key":"h","value":null}],"timestamp":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var a, b Record
		if _, err := ParseJSON(line, &a); err != nil {
			return
		}
		if _, err := ParseJSON(AppendJSON(nil, &a), &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	})
}
