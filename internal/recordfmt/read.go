package recordfmt

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// Reader reads records that were written with a format.
type Reader struct {
	src      *bufio.Reader
	elements []element
	limit    int
	line     int // the line being read, from 1
	began    int // the line the last record began on
	records  int64
	buf      []byte
	ended    bool
	pastEnd  bool // the literal after the field just read is already taken
	byLine   bool // every record is a line, and no field whose end is looked for goes beyond it
	lengths  lengths
}

// lengths are the sizes read ahead of their fields; unknown until the verb came.
type lengths struct{ key, value, headers int64 }

const unknown = math.MinInt64

// maxHeaders bounds what a lying %H can make us loop.
const maxHeaders = 1 << 20

// InputError is a record that does not fit the format.
type InputError struct {
	Line   int   // where the record begins, from 1
	Record int64 // which record, from 1
	Why    string
}

func (e *InputError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

// NewReader makes a Reader, or says why the format cannot be read with. No field may be longer than limit bytes.
func NewReader(src io.Reader, f *Format, limit int) (*Reader, error) {
	els := make([]element, len(f.elements))
	copy(els, f.elements)
	var sized [128]bool
	if err := checkReadable(els, &sized, "%"); err != nil {
		return nil, err
	}
	reads := false
	for _, e := range els {
		reads = reads || e.verb != 0
	}
	if !reads {
		return nil, errors.New("the format has no verb, so every record would be empty; %v\\n takes lines as values")
	}
	return &Reader{src: bufio.NewReaderSize(src, 64<<10), elements: els, limit: limit, line: 1, byLine: isLine(els)}, nil
}

// isLine tells whether the format has a line break at its end and nowhere else. A line that lacks the text between key and value is then a
// fault, and not the beginning of a key that the next line ends.
func isLine(els []element) bool {
	for _, e := range els[:len(els)-1] {
		if bytes.IndexByte(e.literal, '\n') >= 0 {
			return false
		}
	}
	return bytes.IndexByte(els[len(els)-1].literal, '\n') == len(els[len(els)-1].literal)-1
}

// checkReadable makes sure that every text field has an end: a length before it, text after it, or the end of the input.
func checkReadable(els []element, sized *[128]bool, sign string) error {
	var seen [128]bool
	for i := range els {
		e := &els[i]
		if e.verb == 0 {
			continue
		}
		if seen[e.verb] {
			return fmt.Errorf("%s%c appears twice; a record has one", sign, e.verb)
		}
		seen[e.verb] = true
		last := i == len(els)-1
		switch {
		case e.verb == 'K' || e.verb == 'V':
			sized[e.verb+('k'-'K')] = true
		case e.verb == 'H':
			sized['h'] = true
		case e.verb == 'h' && e.each != nil:
			if !sized['h'] {
				return errors.New("%h{...} needs %H before it, to say how many headers there are")
			}
			var inner [128]bool
			if err := checkReadable(e.each, &inner, "header %"); err != nil {
				return err
			}
			for j := range e.each {
				if g := &e.each[j]; g.text() && !inner[g.verb] && j == len(e.each)-1 {
					return fmt.Errorf("nothing ends %%%c in %%h{...}; put text behind it, or its length before it", g.verb)
				}
			}
		case e.verb == 'h' && sized['h']:
			return errors.New("%H needs a braced %h, such as %h{%k=%v;}")
		case e.text() && e.form == jsonForm:
			// a JSON string shows its own end
		case e.text() && !sized[e.verb] && !last && els[i+1].verb != 0:
			return fmt.Errorf("nothing ends %s%c before %s%c; put text between them, or the length before", sign, e.verb, sign, els[i+1].verb)
		case e.number() && e.form.width() == 0 && !last && els[i+1].number() && els[i+1].form.width() == 0:
			return fmt.Errorf("nothing ends the number %s%c before %s%c; put text between them", sign, e.verb, sign, els[i+1].verb)
		}
	}
	return nil
}

// Line is where the last record began.
func (r *Reader) Line() int { return r.began }

// Read fills rec with the next record. Fields that the format does not name are left as they are, except Headers, which are
// cleared. Bytes are rec's own. io.EOF is a clean end; an *InputError is a record that does not fit.
func (r *Reader) Read(rec *Record) error {
	if r.ended {
		return io.EOF
	}
	if _, err := r.src.Peek(1); err != nil {
		return err
	}
	r.began = r.line
	r.records++
	rec.Headers = nil
	r.lengths = lengths{unknown, unknown, unknown}
	r.pastEnd = false
	err := r.fill(rec)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		err = &InputError{r.began, r.records, "the input ends inside a record"}
	default:
		var bad badField
		if errors.As(err, &bad) {
			err = &InputError{r.began, r.records, string(bad)}
		}
	}
	r.ended = true // whatever follows would be read out of step
	return err
}

// badField becomes an InputError once the line is known.
type badField string

func (b badField) Error() string { return string(b) }

func bad(format string, args ...any) error { return badField(fmt.Sprintf(format, args...)) }

func (r *Reader) fill(rec *Record) error {
	for i := range r.elements {
		e := &r.elements[i]
		var end []byte
		if i+1 < len(r.elements) {
			end = r.elements[i+1].literal
		}
		final := i == len(r.elements)-2 // the literal that ends the record may be missing at the end of the input
		var err error
		switch {
		case e.verb == 0:
			err = r.literal(e.literal, i == len(r.elements)-1)
		case e.text():
			err = r.textField(rec, e, end, final)
		case e.verb == 'h':
			err = r.headerGroup(rec, e)
		default:
			err = r.numberField(rec, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// literal takes exactly these bytes. The last one of the format may be cut off by the end of the input, when nothing of it is there.
func (r *Reader) literal(want []byte, last bool) error {
	if r.pastEnd {
		r.pastEnd = false
		return nil
	}
	for i, c := range want {
		b, err := r.src.ReadByte()
		if err == io.EOF && last && i == 0 {
			return nil
		}
		if err != nil {
			return eof(err)
		}
		if b != c {
			return bad("expected %q, found %q", want[i:], b)
		}
		if b == '\n' {
			r.line++
		}
	}
	return nil
}

func eof(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) textField(rec *Record, e *element, end []byte, final bool) error {
	size := int64(unknown)
	switch e.verb {
	case 'k':
		size = r.lengths.key
	case 'v':
		size = r.lengths.value
	}
	b, err := r.text(e, size, end, final)
	if err != nil {
		return err
	}
	switch e.verb {
	case 'k':
		rec.Key = b
	case 'v':
		rec.Value = b
	case 't':
		rec.Topic = string(b)
	case 'h':
		rec.Headers, err = parseHeaders(b)
	}
	return err
}

func (r *Reader) text(e *element, size int64, end []byte, final bool) ([]byte, error) {
	var raw []byte
	var err error
	switch {
	case e.form == jsonForm:
		return r.jsonString(e)
	case size == -1:
		return nil, nil
	case size != unknown:
		// The length is that of the bytes themselves; the text forms of them are longer.
		n := size
		switch e.form {
		case hexForm:
			n = size * 2
		case base64Form:
			n = int64(base64.StdEncoding.EncodedLen(int(min(size, int64(r.limit)+1))))
		}
		if size < 0 || size > int64(r.limit) {
			return nil, bad("the length of %%%c is %d; the limit is %d", e.verb, size, r.limit)
		}
		raw, err = r.exactly(int(n))
	default:
		raw, err = r.until(end, final || end == nil, e.verb)
	}
	if err != nil {
		return nil, err
	}
	switch e.form {
	case hexForm:
		out := make([]byte, hex.DecodedLen(len(raw)))
		if _, err := hex.Decode(out, raw); err != nil {
			return nil, bad("%%%c is not hexadecimal: %s", e.verb, excerpt(raw))
		}
		return out, nil
	case base64Form:
		out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
		n, err := base64.StdEncoding.Decode(out, raw)
		if err != nil {
			return nil, bad("%%%c is not base64: %s", e.verb, excerpt(raw))
		}
		return out[:n], nil
	}
	return append([]byte{}, raw...), nil // empty, not null
}

// exactly reads n bytes into a buffer that grows as they come, so that a lying length costs nothing.
func (r *Reader) exactly(n int) ([]byte, error) {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		step := min(n-len(r.buf), 64<<10)
		at := len(r.buf)
		r.buf = append(r.buf, make([]byte, step)...)
		if _, err := io.ReadFull(r.src, r.buf[at:]); err != nil {
			return nil, eof(err)
		}
	}
	r.line += bytes.Count(r.buf, []byte{'\n'})
	return r.buf, nil
}

// until reads up to end and past it; without an end, or where open allows, the end of the input ends the field, too.
func (r *Reader) until(end []byte, open bool, verb byte) ([]byte, error) {
	stop := byte('\n')
	if end != nil {
		stop = end[len(end)-1]
	}
	r.buf = r.buf[:0]
	for {
		chunk, err := r.src.ReadSlice(stop)
		if r.byLine && stop != '\n' {
			if rest, _, beyond := bytes.Cut(chunk, []byte{'\n'}); beyond {
				return nil, bad("no %q after %%%c in %s", end, verb, excerpt(append(r.buf, rest...)))
			}
		}
		r.buf = append(r.buf, chunk...)
		r.line += bytes.Count(chunk, []byte{'\n'})
		if len(r.buf) > r.limit+len(end) {
			return nil, bad("%%%c is longer than the limit of %d bytes", verb, r.limit)
		}
		switch {
		case err == nil && end != nil && bytes.HasSuffix(r.buf, end):
			r.pastEnd = true
			return r.buf[:len(r.buf)-len(end)], nil
		case err == nil, err == bufio.ErrBufferFull:
		case err == io.EOF && open:
			r.pastEnd = true
			return r.buf, nil
		case err == io.EOF:
			return nil, bad("no %q after %%%c in %s", end, verb, excerpt(r.buf))
		default:
			return nil, err
		}
	}
}

// jsonString reads a JSON string, or null, which shows its own end.
func (r *Reader) jsonString(e *element) ([]byte, error) {
	r.buf = r.buf[:0]
	escaped := false
	for {
		b, err := r.src.ReadByte()
		if err != nil {
			return nil, eof(err)
		}
		if b == '\n' {
			r.line++
		}
		if len(r.buf) > 2*r.limit {
			return nil, bad("%%%c is longer than the limit of %d bytes", e.verb, r.limit)
		}
		r.buf = append(r.buf, b)
		switch {
		case r.buf[0] != '"':
			if string(r.buf) == "null" {
				return nil, nil
			}
			if !bytes.HasPrefix([]byte("null"), r.buf) {
				return nil, bad("%%%c is not a JSON string: %s", e.verb, excerpt(r.buf))
			}
		case escaped:
			escaped = false
		case b == '\\':
			escaped = true
		case b == '"' && len(r.buf) > 1:
			var s string
			if err := json.Unmarshal(r.buf, &s); err != nil {
				return nil, bad("%%%c is not a JSON string: %s", e.verb, excerpt(r.buf))
			}
			return []byte(s), nil
		}
	}
}

func (r *Reader) headerGroup(rec *Record, e *element) error {
	n := r.lengths.headers
	if n < 0 || n > maxHeaders {
		return bad("the number of headers is %d", n)
	}
	outer := r.lengths
	defer func() { r.lengths = outer }()
	var total int
	for range n {
		r.lengths = lengths{unknown, unknown, unknown}
		var h Header
		for i := range e.each {
			g := &e.each[i]
			var end []byte
			if i+1 < len(e.each) {
				end = e.each[i+1].literal
			}
			var err error
			switch {
			case g.verb == 0:
				err = r.literal(g.literal, false)
			case g.verb == 'k':
				var b []byte
				b, err = r.text(g, r.lengths.key, end, false)
				h.Key = string(b)
			case g.verb == 'v':
				h.Value, err = r.text(g, r.lengths.value, end, false)
			default:
				err = r.numberField(nil, g)
			}
			if err != nil {
				return err
			}
		}
		if total += len(h.Key) + len(h.Value); total > r.limit {
			return bad("the headers are longer than the limit of %d bytes", r.limit)
		}
		rec.Headers = append(rec.Headers, h)
	}
	return nil
}

// parseHeaders reads name=value,name=value; empty text is no headers.
func parseHeaders(b []byte) ([]Header, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var out []Header
	for part := range bytes.SplitSeq(b, []byte{','}) {
		k, v, ok := bytes.Cut(part, []byte{'='})
		if !ok {
			return nil, bad("header %s is not name=value", excerpt(part))
		}
		out = append(out, Header{string(k), append([]byte{}, v...)})
	}
	return out, nil
}

func (r *Reader) numberField(rec *Record, e *element) error {
	n, err := r.number(e)
	if err != nil {
		return err
	}
	switch e.verb {
	case 'K':
		r.lengths.key = n
	case 'V':
		r.lengths.value = n
	case 'H':
		r.lengths.headers = n
	case 'p':
		if n < 0 || n > math.MaxInt32 {
			return bad("%d is not a partition", n)
		}
		rec.Partition = int32(n)
	case 'T':
		rec.Timestamp = n
	}
	return nil
}

func (r *Reader) number(e *element) (int64, error) {
	if w := e.form.width(); w > 0 {
		var b [8]byte
		if _, err := io.ReadFull(r.src, b[:w]); err != nil {
			return 0, eof(err)
		}
		switch e.form {
		case byteForm:
			return int64(b[0]), nil
		case big16:
			return int64(int16(binary.BigEndian.Uint16(b[:]))), nil
		case big32:
			return int64(int32(binary.BigEndian.Uint32(b[:]))), nil
		case big64:
			return int64(binary.BigEndian.Uint64(b[:])), nil
		case little16:
			return int64(int16(binary.LittleEndian.Uint16(b[:]))), nil
		case little32:
			return int64(int32(binary.LittleEndian.Uint32(b[:]))), nil
		}
		return int64(binary.LittleEndian.Uint64(b[:])), nil
	}
	var text []byte
	for len(text) < 40 {
		p, err := r.src.Peek(1)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if !numberByte(p[0], e.form, len(text) == 0) {
			break
		}
		text = append(text, p[0])
		_, _ = r.src.Discard(1) // it was just peeked
	}
	var n int64
	var err error
	switch e.form {
	case hexForm:
		var u uint64
		u, err = strconv.ParseUint(string(text), 16, 64)
		n = int64(u)
	case rfc3339Form:
		var t time.Time
		t, err = time.Parse(time.RFC3339Nano, string(text))
		n = t.UnixMilli()
	default:
		n, err = strconv.ParseInt(string(text), 10, 64)
		if e.form == secondsForm && err == nil {
			if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
				return 0, bad("%d seconds are out of range", n)
			}
			n *= 1000
		}
	}
	if err != nil {
		return 0, bad("%%%c is not a number: %s", e.verb, excerpt(text))
	}
	return n, nil
}

// numberByte reports whether c can be part of a number in this form.
func numberByte(c byte, f form, first bool) bool {
	digit := c >= '0' && c <= '9'
	switch f {
	case hexForm:
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case rfc3339Form:
		return digit || c == '-' || c == '+' || c == ':' || c == '.' || c == 'T' || c == 'Z'
	}
	return digit || c == '-' && first
}

// excerpt quotes the beginning of what was found.
func excerpt(b []byte) string {
	if len(b) > 40 {
		return strconv.Quote(string(b[:40])) + "..."
	}
	return strconv.Quote(string(b))
}
