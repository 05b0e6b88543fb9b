package loadgen

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// PayloadHelp says how values look.
const PayloadHelp = `Values are text drawn from --seed in pieces of 32 characters, of which half are new (out of 64 letters) and half
repeat an earlier one, so that codecs shrink them to about a half; with --incompressible they are random bytes.`

// text fills n bytes as PayloadHelp says.
func text(rng *rand.Rand, n int, incompressible bool) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	const piece, window = 32, 16 << 10
	out := make([]byte, 0, n+piece)
	for len(out) < n {
		if incompressible {
			out = binary.LittleEndian.AppendUint64(out, rng.Uint64())
			continue
		}
		if len(out) >= piece && rng.IntN(2) == 0 {
			span := min(len(out), window) / piece
			at := len(out) - piece*(1+rng.IntN(span))
			out = append(out, out[at:at+piece]...)
			continue
		}
		for range piece / 10 {
			for v, i := rng.Uint64(), 0; i < 10; i, v = i+1, v>>6 {
				out = append(out, letters[v&63])
			}
		}
		out = append(out, letters[rng.IntN(64)], letters[rng.IntN(64)])
	}
	return out[:n]
}

// prebuilt is a batch that is sent many times.
type prebuilt struct {
	bytes   batch.Batch
	records int64
}

// distinctBatches differ in content, so that no cache or codec sees one batch only.
const distinctBatches = 4

// build makes batches of n records each, or as many as fit in limit bytes if n is 0; at least one.
func build(s *Settings, producer *Producer, n, limit int, nowMillis int64) ([]prebuilt, error) {
	rng := rand.New(rand.NewPCG(s.Seed, uint64(s.RecordBytes)))
	codecs := batch.NewCodecs(batch.DefaultLimits())
	var out []prebuilt
	for range distinctBatches {
		b := batch.NewBuilder(codecs)
		o := batch.Options{Codec: s.Codec}
		if producer != nil {
			o.Producer = &batch.Producer{ID: producer.ID, Epoch: producer.Epoch}
		}
		b.Reset(o)
		perRecord := s.RecordBytes + 24 // more than the varints of any record take
		for b.Count() == 0 || (n > 0 && b.Count() < n) || (n == 0 && b.Len()+perRecord <= limit) {
			if err := b.Append(nowMillis, nil, text(rng, s.RecordBytes, s.Incompressible), nil); err != nil {
				return nil, fmt.Errorf("build a batch: %w", err)
			}
		}
		count := int64(b.Count())
		built, err := b.Build()
		if err != nil {
			return nil, fmt.Errorf("build a batch: %w", err)
		}
		out = append(out, prebuilt{append(batch.Batch{}, built...), count})
	}
	return out, nil
}

// Where the producer's base sequence and the CRC lie in a batch's header.
const (
	crcAt      = 17
	sequenceAt = 53
)

// setSequence makes the batch the next one of an idempotent producer.
func setSequence(b batch.Batch, seq int32) {
	binary.BigEndian.PutUint32(b[sequenceAt:], uint32(seq))
	binary.BigEndian.PutUint32(b[crcAt:], b.ComputeCRC())
}
