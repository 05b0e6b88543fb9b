package recordfmt

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"
)

// Append writes the record to dst. n is the number of the record in this run, for %i.
func (f *Format) Append(dst []byte, r *Record, n int64) []byte {
	for i := range f.elements {
		e := &f.elements[i]
		switch e.verb {
		case 0:
			dst = append(dst, e.literal...)
		case 'k':
			dst = appendText(dst, r.Key, e.form)
		case 'v':
			dst = appendText(dst, r.Value, e.form)
		case 't':
			dst = appendText(dst, []byte(r.Topic), e.form)
		case 'h':
			dst = appendHeaders(dst, r.Headers, e)
		case 'K':
			dst = appendNumber(dst, length(r.Key), e.form)
		case 'V':
			dst = appendNumber(dst, length(r.Value), e.form)
		case 'H':
			dst = appendNumber(dst, int64(len(r.Headers)), e.form)
		case 'p':
			dst = appendNumber(dst, int64(r.Partition), e.form)
		case 'o':
			dst = appendNumber(dst, r.Offset, e.form)
		case 'e':
			dst = appendNumber(dst, int64(r.LeaderEpoch), e.form)
		case 'i':
			dst = appendNumber(dst, n, e.form)
		case 'T':
			dst = appendTime(dst, r.Timestamp, e.form)
		}
	}
	return dst
}

// length is -1 for null.
func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

func appendText(dst, b []byte, f form) []byte {
	switch f {
	case hexForm:
		return hex.AppendEncode(dst, b)
	case base64Form:
		return base64.StdEncoding.AppendEncode(dst, b)
	case jsonForm:
		if b == nil {
			return append(dst, "null"...)
		}
		return appendJSONString(dst, b)
	}
	return append(dst, b...)
}

// appendNumber cuts numbers down to the width of a binary form.
func appendNumber(dst []byte, n int64, f form) []byte {
	switch f {
	case hexForm:
		return strconv.AppendUint(dst, uint64(n), 16)
	case byteForm:
		return append(dst, byte(n))
	case big16:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case big32:
		return binary.BigEndian.AppendUint32(dst, uint32(n))
	case big64:
		return binary.BigEndian.AppendUint64(dst, uint64(n))
	case little16:
		return binary.LittleEndian.AppendUint16(dst, uint16(n))
	case little32:
		return binary.LittleEndian.AppendUint32(dst, uint32(n))
	case little64:
		return binary.LittleEndian.AppendUint64(dst, uint64(n))
	}
	return strconv.AppendInt(dst, n, 10)
}

// timeLayout always shows milliseconds, which is all a timestamp has.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func appendTime(dst []byte, ms int64, f form) []byte {
	switch f {
	case secondsForm:
		return strconv.AppendInt(dst, floorDiv(ms, 1000), 10)
	case rfc3339Form:
		return time.UnixMilli(ms).UTC().AppendFormat(dst, timeLayout)
	}
	return appendNumber(dst, ms, f)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func appendHeaders(dst []byte, hs []Header, e *element) []byte {
	for i, h := range hs {
		if e.each == nil {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, h.Key...), '='), h.Value...)
			continue
		}
		for j := range e.each {
			switch g := &e.each[j]; g.verb {
			case 0:
				dst = append(dst, g.literal...)
			case 'k':
				dst = appendText(dst, []byte(h.Key), g.form)
			case 'v':
				dst = appendText(dst, h.Value, g.form)
			case 'K':
				dst = appendNumber(dst, int64(len(h.Key)), g.form)
			case 'V':
				dst = appendNumber(dst, length(h.Value), g.form)
			}
		}
	}
	return dst
}
