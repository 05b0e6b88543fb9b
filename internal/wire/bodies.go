package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Request bodies are decoded by kmsg, which believes what a body says of itself: it makes room for as many structs as an array claims to
// have, and reads as many tags as a count of up to 2^32 promises, a minute of work for thirty bytes. CheckBody looks first.

// bodies is the shape of each request that kmsg decodes, as in Kafka's message definitions:
//
//	1 2 4 8 16   so many bytes
//	s            a string, nullable or not
//	b            bytes, nullable or not
//	[x]          an array of primitives; [(x y)] one of structs, each with its tags in flexible versions
//	?(x y)       a struct behind a byte that is -1 when there is none
//	~0:x         what tag 0 holds, if it is there; tags not named are skipped
//	x@3 x@0-5    a field since version 3, or from version 0 to 5
var bodies = parseBodies(map[int16]string{
	KeyFetch: `4@0-14 4 4 4 1 4@7 4@7 [(s@0-12 16@13 [(4 4@9 8 4@12 8@5 4 ~0:16 ~1:8)])] [(s@0-12 16@13 [4])]@7 s@11 ~0:s ~1:(4 8)`,

	KeyListOffsets:                 `4 1@2 [(s [(4 4@4 8)])] 4@10`,
	KeyMetadata:                    `[(16@10 s)] 1@4 1@8-10 1@8`,
	KeyOffsetCommit:                `s 4 s s@7 8@2-4 [(s [(4 8 4@6 s)])]`,
	KeyOffsetFetch:                 `s@0-7 [(s [4])]@0-7 [(s s@9 4@9 [(s [4])])]@8 1@7`,
	KeyFindCoordinator:             `s@0-3 1@1 [s]@4`,
	KeyJoinGroup:                   `s 4 4@1 s s@5 s [(s b)] s@8`,
	KeyHeartbeat:                   `s 4 s s@3`,
	KeyLeaveGroup:                  `s s@0-2 [(s s s@5)]@3`,
	KeySyncGroup:                   `s 4 s s@3 s@5 s@5 [(s b)]`,
	KeyDescribeGroups:              `[s] 1@3`,
	KeyListGroups:                  `[s]@4 [s]@5`,
	KeyApiVersions:                 `s@3 s@3`,
	KeyCreateTopics:                `[(s 4 2 [(4 [4])] [(s s)])] 4 1@1`,
	KeyDeleteTopics:                `[s]@0-5 [(s 16)]@6 4`,
	KeyDeleteRecords:               `[(s [(4 8)])] 4`,
	KeyInitProducerID:              `s 4 8@3 2@3`,
	KeyOffsetForLeaderEpoch:        `4@3 [(s [(4 4@2 4)])]`,
	KeyDescribeACLs:                `1 s 1@1 s s 1 1`,
	KeyCreateACLs:                  `[(1 s 1@1 s s 1 1)]`,
	KeyDeleteACLs:                  `[(1 s 1@1 s s 1 1)]`,
	KeyDescribeConfigs:             `[(1 s [s])] 1@1 1@3`,
	KeyAlterConfigs:                `[(1 s [(s s)])] 1`,
	KeyDescribeLogDirs:             `[(s [4])]`,
	KeyCreatePartitions:            `[(s 4 [([4])])] 4 1`,
	KeyDeleteGroups:                `[s]`,
	KeyIncrementalAlterConfigs:     `[(1 s [(s 1 s)])] 1`,
	KeyOffsetDelete:                `s [(s [(4)])]`,
	KeyListPartitionReassignments:  `4 [(s [4])]`,
	KeyDescribeClientQuotas:        `[(s 1 s)] 1`,
	KeyDescribeUserScramCredential: `[(s)]`,
	KeyDescribeCluster:             `1 1@1 1@2`,
	KeyDescribeProducers:           `[(s [4])]`,
	KeyListConfigResources:         `[1]@1`,
	KeyDescribeTopicPartitions:     `[(s)] 4 ?(s 4)`,
})

const (
	// elementWeight is what one array element is taken to cost: its struct in the decoded request, the one that answers it, and its bytes
	// on the way out. The largest struct of kmsg is 112 bytes.
	elementWeight = 192
	// tagWeight is a map with one entry.
	tagWeight = 288
)

// CheckBody walks a request body before it is decoded: every length, count and tag must fit into the bytes that are there. weight is how
// much memory decoding and answering is taken to need; a body above maxWeight is refused as soon as that is known. Bytes after the body
// are no fault. The error is a *FrameError.
func CheckBody(key, version int16, body []byte, maxWeight int64) (weight int64, err error) {
	w := walker{Reader: Reader{buf: body}, version: version, flexible: flexible(key, version), left: maxWeight - int64(len(body))}
	w.fields(bodies[key])
	if w.flexible {
		w.tags(bodies[key])
	}
	switch {
	case w.left < 0:
		return 0, badFrame("%s v%d: %d bytes with so many elements that decoding them would take more than %d bytes", KeyName(key), version, len(body), maxWeight)
	case w.bad:
		return 0, badFrame("%s v%d: body is cut short, or claims lengths that it does not have", KeyName(key), version)
	}
	return maxWeight - w.left, nil
}

type shape byte

const (
	fixed shape = iota
	text
	blob
	array
	structure
	optional
)

// field is one item of a body.
type field struct {
	shape    shape
	size     int // fixed
	from, to int16
	tag      int // -1: not a tagged field
	sub      []field
}

type walker struct {
	Reader
	version  int16
	flexible bool
	left     int64 // weight
}

func (w *walker) fields(fs []field) {
	for i := range fs {
		if f := &fs[i]; f.tag < 0 && w.version >= f.from && w.version <= f.to {
			w.field(f)
		}
	}
}

func (w *walker) field(f *field) {
	switch f.shape {
	case fixed:
		w.Take(f.size)
	case text:
		w.String(w.flexible)
	case blob:
		w.Bytes(w.flexible)
	case array:
		n := w.ArrayLen(w.flexible, 1)
		if w.weigh(int64(n) * elementWeight); w.bad {
			return
		}
		for ; n > 0 && !w.bad; n-- {
			w.field(&f.sub[0])
		}
	case structure:
		w.fields(f.sub)
		if w.flexible {
			w.tags(f.sub)
		}
	case optional:
		if w.Int8() != -1 {
			w.field(&f.sub[0])
		}
	}
}

// weigh takes off what is left of the weight; an empty or null array weighs nothing.
func (w *walker) weigh(n int64) {
	if n > 0 {
		if w.left -= n; w.left < 0 {
			w.fail()
		}
	}
}

// tags walks a block of tagged fields; those of fs that are known are looked into.
func (w *walker) tags(fs []field) {
	n := w.Uvarint()
	if int(n) > w.Len()/2 {
		w.fail()
		return
	}
	for w.weigh(int64(n) * tagWeight); n > 0 && !w.bad; n-- {
		tag, value := w.Uvarint(), w.Take(int(w.Uvarint()))
		for i := range fs {
			if f := &fs[i]; f.tag == int(tag) && !w.bad {
				rest := w.buf
				w.buf = value
				if w.field(f); !w.bad {
					w.buf = rest
				}
			}
		}
	}
}

func parseBodies(in map[int16]string) (out [tableSize][]field) {
	for key, s := range in { // any order: each has its own place
		p := bodyParser{strings.NewReplacer("[", " [ ", "(", " ( ", ")", " ) ", "]", " ] ", ":", ": ").Replace(s)}
		out[key] = p.list("")
	}
	return out
}

// bodyParser reads the notation of bodies, which is ours: it panics on what it does not know.
type bodyParser struct{ s string }

func (p *bodyParser) next() string {
	p.s = strings.TrimLeft(p.s, " ")
	word, rest, _ := strings.Cut(p.s, " ")
	p.s = rest
	return word
}

func (p *bodyParser) list(end string) (out []field) {
	for {
		word := p.next()
		if word == end {
			return out
		}
		if since, ok := strings.CutPrefix(word, "@"); ok { // after a bracket
			out[len(out)-1].between(since)
			continue
		}
		out = append(out, p.field(word))
	}
}

func (p *bodyParser) field(word string) field {
	f := field{to: 1<<15 - 1, tag: -1}
	word, since, _ := strings.Cut(word, "@")
	f.between(since)
	switch {
	case word == "s":
		f.shape = text
	case word == "b":
		f.shape = blob
	case word == "[":
		f.shape, f.sub = array, p.list("]")
	case word == "(":
		f.shape, f.sub = structure, p.list(")")
	case word == "?":
		f.shape, f.sub = optional, []field{p.field(p.next())}
	case strings.HasPrefix(word, "~"):
		f = p.field(p.next())
		f.tag = number(strings.Trim(word, "~:"))
	default:
		f.size = number(word)
	}
	return f
}

func (f *field) between(versions string) {
	if versions == "" {
		return
	}
	from, to, both := strings.Cut(versions, "-")
	f.from = int16(number(from))
	if both {
		f.to = int16(number(to))
	}
}

func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 15)
	if err != nil {
		panic(fmt.Sprintf("wire: %q in the shape of a request body: %v", s, err))
	}
	return int(n)
}
