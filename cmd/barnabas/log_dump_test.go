package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/batch"
)

// segmentFolder writes a partition's folder as Kafka would: two batches, of which the second is a transaction's end.
func segmentFolder(t *testing.T) (dir string, batches [][]byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "orders-0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := batch.NewBuilder(batch.NewCodecs(batch.DefaultLimits()))
	add := func(o batch.Options, ts int64, key, value []byte, h batch.Headers) {
		b.Reset(o)
		if err := b.Append(ts, key, value, h); err != nil {
			t.Fatal(err)
		}
		if o.BaseOffset == 0 {
			if err := b.Append(ts+5, nil, []byte{0xff, '\n'}, nil); err != nil {
				t.Fatal(err)
			}
		}
		built, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, append([]byte{}, built...))
	}
	p := &batch.Producer{ID: 7, Epoch: 1}
	add(batch.Options{Codec: batch.Gzip, Producer: p, Transactional: true, LeaderEpoch: 2}, 1767225600000, []byte("k"), []byte("v"),
		batch.MakeHeaders(batch.Header{Key: "h", Value: []byte("x")}))
	m := batch.EndTxnMarker{Commit: true, CoordinatorEpoch: 3}
	p = &batch.Producer{ID: 7, Epoch: 1, BaseSequence: -1}
	add(batch.Options{BaseOffset: 2, Producer: p, Transactional: true, Control: true, LeaderEpoch: 2}, 1767225600010, m.AppendKey(nil), m.AppendValue(nil), nil)
	name := func(suffix string) string { return filepath.Join(dir, "00000000000000000000"+suffix) }
	files := map[string][]byte{
		name(".log"):       bytes.Join(batches, nil),
		name(".index"):     binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 2), uint32(len(batches[0]))),
		name(".timeindex"): binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, 1767225600010), 2),
		filepath.Join(dir, "leader-epoch-checkpoint"):                        []byte("0\n1\n2 0\n"),
		filepath.Join(dir, "partition.metadata"):                             []byte("version: 0\ntopic_id: T_aT86_RQW2g0aS0fhXsCw"),
		filepath.Join(filepath.Dir(dir), "recovery-point-offset-checkpoint"): []byte("0\n1\norders 0 3\n"),
		filepath.Join(dir, "notes.txt"):                                      []byte("none of ours"),
	}
	for f, text := range files {
		if err := os.WriteFile(f, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, batches
}

func TestDumpShowsAFolder(t *testing.T) {
	dir, _ := segmentFolder(t)
	hide := strings.NewReplacer(filepath.Dir(dir), "DATA")
	golden(t, "log-dump.txt", hide.Replace(ok(t, "", "", "log", "dump", filepath.Dir(dir))))
	golden(t, "log-dump-records.txt", hide.Replace(ok(t, "", "", "log", "dump", filepath.Join(dir, "00000000000000000000.log"), "--records")))
	golden(t, "log-dump.jsonl", hide.Replace(ok(t, "", "", "log", "dump", dir, "--records", "-o", "json")))
	equal(t, "6 files checked, 0 problems\n", ok(t, "", "", "log", "dump", filepath.Dir(dir), "--verify", "--deep"))
}

func TestDumpFindsDamage(t *testing.T) {
	segment := func(dir string) string { return filepath.Join(dir, "00000000000000000000.log") }
	for name, c := range map[string]struct {
		harm func(t *testing.T, dir string, batches [][]byte)
		say  string
	}{
		"a flipped bit": {func(t *testing.T, dir string, b [][]byte) {
			b[0][70] ^= 1
			write(t, segment(dir), bytes.Join(b, nil))
		}, "position 0, offset 0: the CRC is wrong"},
		"a torn end": {func(t *testing.T, dir string, b [][]byte) {
			all := bytes.Join(b, nil)
			write(t, segment(dir), all[:len(all)-3])
		}, "00000000000000000000.log"},
		"offsets that go back": {func(t *testing.T, dir string, b [][]byte) {
			write(t, segment(dir), bytes.Join([][]byte{b[1], b[0]}, nil))
		}, "the batch begins at offset 0, where at least 3 is due"},
		"an index that points nowhere": {func(t *testing.T, dir string, _ [][]byte) {
			write(t, strings.Replace(segment(dir), ".log", ".index", 1), []byte{0, 0, 0, 2, 0, 0, 0, 5})
		}, "offset 2 at position 5"},
		"a time index that lies": {func(t *testing.T, dir string, _ [][]byte) {
			write(t, strings.Replace(segment(dir), ".log", ".timeindex", 1), []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2})
		}, "timestamp 9, offset 2"},
		"records that do not decompress": {func(t *testing.T, dir string, b [][]byte) {
			bad := batch.Batch(b[0])
			bad[78] ^= 0x55
			binary.BigEndian.PutUint32(bad[17:], bad.ComputeCRC())
			write(t, segment(dir), bytes.Join(b, nil))
		}, "position 0, offset 0"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, b := segmentFolder(t)
			c.harm(t, dir, b)
			r := invoke(t, "", "", "log", "dump", dir, "--verify", "--deep")
			if r.code != exitFailed || !strings.Contains(r.out, c.say) || !strings.Contains(r.err, "problems in 5 files") {
				t.Errorf("want exit 1 and %q: %+v", c.say, r)
			}
			r = invoke(t, "", "", "log", "dump", dir, "--deep", "-o", "json")
			if r.code != exitFailed || !strings.Contains(r.out, `"kind":"problem"`) {
				t.Errorf("%+v", r)
			}
			for line := range strings.Lines(r.out) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		})
	}
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDumpRefuses(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "notes.txt")
	write(t, other, []byte("x"))
	refused(t, exitFailed, "", "", []string{"log", "dump", dir}, "no file of a broker's data in "+dir)
	refused(t, exitUsage, "", "", []string{"log", "dump", other}, "is not a file of a broker's data")
	refused(t, exitFailed, "", "", []string{"log", "dump", filepath.Join(dir, "none.log")}, "does not exist")
	refused(t, exitUsage, "", "", []string{"log", "dump", dir, "-o", "yaml"}, "does not print YAML")
	refused(t, exitUsage, "", "", []string{"log", "dump", dir, "--records", "--verify"}, "leave one of them out")
	refused(t, exitUsage, "", "", []string{"log", "dump"}, "needs a file or a folder")
}
