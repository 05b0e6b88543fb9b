package recordfmt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSONHelp is the form of --json lines as users read it.
const JSONHelp = `With --json every record is one JSON object on one line:

  {"topic":"orders","partition":0,"offset":7,"timestamp":1767225600000,"key":"k1","value":"hello",
   "headers":[{"key":"trace","value":"abc"}]}

A key, value or header value that is not UTF-8 text is base64 under "key_base64" or "value_base64" instead; null is null. When
producing, only what is there is set; topic, offset, timestamp_type and leader_epoch are ignored, and "timestamp" may also be text such
as "2026-01-31T15:04:05Z".`

// AppendJSON writes the record as one JSON object without a newline.
func AppendJSON(dst []byte, r *Record) []byte {
	dst = append(dst, `{"topic":`...)
	dst = appendJSONString(dst, []byte(r.Topic))
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, r.Timestamp, 10)
	if r.LogAppendTime {
		dst = append(dst, `,"timestamp_type":"LogAppendTime"`...)
	} else {
		dst = append(dst, `,"timestamp_type":"CreateTime"`...)
	}
	dst = append(dst, `,"leader_epoch":`...)
	dst = strconv.AppendInt(dst, int64(r.LeaderEpoch), 10)
	dst = append(dst, ',')
	dst = appendJSONBytes(dst, "key", r.Key)
	dst = append(dst, ',')
	dst = appendJSONBytes(dst, "value", r.Value)
	dst = append(dst, `,"headers":[`...)
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		dst = appendJSONBytes(dst, "key", []byte(h.Key))
		dst = append(dst, ',')
		dst = appendJSONBytes(dst, "value", h.Value)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

func appendJSONBytes(dst []byte, name string, b []byte) []byte {
	switch {
	case b == nil:
		return append(append(append(dst, '"'), name...), `":null`...)
	case utf8.Valid(b):
		dst = append(append(append(dst, '"'), name...), `":`...)
		return appendJSONString(dst, b)
	}
	dst = append(append(append(dst, '"'), name...), `_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}

// appendJSONString quotes UTF-8 text; other bytes become U+FFFD.
func appendJSONString(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(b); {
		c := b[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(b[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029': // line ends in JavaScript
				dst = append(append(dst, `\u202`...), digits[r&15])
			default:
				dst = append(dst, b[i:i+n]...)
			}
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c < 0x20 || c == 0x7f:
			dst = append(append(dst, `\u00`...), digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}

// jsonRecord is the line as encoding/json reads it. Raw messages tell null, absent and present apart.
type jsonRecord struct {
	Topic         json.RawMessage `json:"topic"`
	Partition     *int32          `json:"partition"`
	Offset        json.RawMessage `json:"offset"`
	Timestamp     json.RawMessage `json:"timestamp"`
	TimestampType json.RawMessage `json:"timestamp_type"`
	LeaderEpoch   json.RawMessage `json:"leader_epoch"`
	Key           *string         `json:"key"`
	KeyBase64     *string         `json:"key_base64"`
	Value         *string         `json:"value"`
	ValueBase64   *string         `json:"value_base64"`
	Headers       []jsonHeader    `json:"headers"`
}

type jsonHeader struct {
	Key         *string `json:"key"`
	KeyBase64   *string `json:"key_base64"`
	Value       *string `json:"value"`
	ValueBase64 *string `json:"value_base64"`
}

// JSONFields says which optional fields a line held.
type JSONFields struct{ Partition, Timestamp bool }

// ParseJSON reads one line. Unknown names are errors, since they are mostly misspelt ones. Errors say what is wrong with the
// line, not where the line is.
func ParseJSON(line []byte, rec *Record) (JSONFields, error) {
	var j jsonRecord
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return JSONFields{}, fmt.Errorf("%q cannot be a JSON %s", typ.Field, typ.Value)
		}
		return JSONFields{}, fmt.Errorf("not a JSON record: %w", err)
	}
	if len(bytes.TrimSpace(line[dec.InputOffset():])) > 0 {
		return JSONFields{}, errors.New("something follows the JSON object on its line")
	}
	var has JSONFields
	var err error
	*rec = Record{}
	if rec.Key, err = jsonBytes("key", j.Key, j.KeyBase64); err != nil {
		return has, err
	}
	if rec.Value, err = jsonBytes("value", j.Value, j.ValueBase64); err != nil {
		return has, err
	}
	for _, h := range j.Headers {
		k, err := jsonBytes("header key", h.Key, h.KeyBase64)
		if err != nil {
			return has, err
		}
		if k == nil {
			return has, errors.New("a header without a key")
		}
		v, err := jsonBytes("header value", h.Value, h.ValueBase64)
		if err != nil {
			return has, err
		}
		rec.Headers = append(rec.Headers, Header{string(k), v})
	}
	if j.Partition != nil {
		if *j.Partition < 0 {
			return has, fmt.Errorf("%d is not a partition", *j.Partition)
		}
		rec.Partition, has.Partition = *j.Partition, true
	}
	if j.Timestamp != nil && string(j.Timestamp) != "null" {
		if rec.Timestamp, err = jsonTime(j.Timestamp); err != nil {
			return has, err
		}
		has.Timestamp = true
	}
	return has, nil
}

func jsonBytes(name string, text, b64 *string) ([]byte, error) {
	switch {
	case text != nil && b64 != nil:
		return nil, fmt.Errorf("the %s is there twice, as text and as base64", name)
	case text != nil:
		return []byte(*text), nil
	case b64 != nil:
		b, err := base64.StdEncoding.DecodeString(*b64)
		if err != nil {
			return nil, fmt.Errorf("the %s is not base64: %w", name, err)
		}
		return b, nil
	}
	return nil, nil
}

func jsonTime(raw json.RawMessage) (int64, error) {
	var ms int64
	if json.Unmarshal(raw, &ms) == nil {
		return ms, nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("timestamp %s is neither milliseconds nor a time such as \"2026-01-31T15:04:05Z\"", excerpt(raw))
}
