package storage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"testing"

	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// FuzzDecoders: whatever bytes a file holds, its decoder answers or refuses; what it accepts it writes back the same.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte("0\n1\na 9 7\n"))
	f.Add([]byte("0\n2\n0 0\n3 17\n"))
	f.Add([]byte("version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA\n"))
	f.Add([]byte("cluster.id=abc\nversion=1\nnode.id=3\n"))
	f.Add(unhex(f, "00000009 00001004  7fffffff 00002328"))
	f.Add(unhex(f, "0000018bcfe56800 00000009  0000018bcfe56801 0000000c"))
	f.Add(unhex(f, "0000 0000000000000007 0000000000000064 000000000000006e 0000000000000069"))
	var p producers
	f.Add(p.snapshot())
	p.restore([]SnapshotRow{{ProducerID: 7, LastSequence: 3, LastOffset: 9, OffsetDelta: 2, CoordinatorEpoch: -1, TxnFirstOffset: 4}}, 0)
	f.Add(p.snapshot())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeOffsets("f", b); err == nil {
			again, err := decodeOffsets("f", encodeOffsets(m))
			if err != nil || len(again) != len(m) {
				t.Fatalf("checkpoint %v came back as %v, %v", m, again, err)
			}
		}
		if e, err := decodeEpochs("f", b); err == nil {
			again, err := decodeEpochs("f", encodeEpochs(e))
			if err != nil || !equalEpochs(e, again) {
				t.Fatalf("epochs %v came back as %v, %v", e, again, err)
			}
		}
		decodePartitionMetadata("f", b)
		decodeMetaProperties("f", b)
		decodeFormatVersion("f", b)
		entries, _ := decodeIndex(b, math.MaxInt32)
		for i, e := range entries {
			if i > 0 && (e.rel <= entries[i-1].rel || e.pos <= entries[i-1].pos) {
				t.Fatalf("index entries do not rise: %v", entries)
			}
		}
		times, _ := decodeTimeIndex(b, math.MaxInt32)
		for i, e := range times {
			if i > 0 && (e.ts <= times[i-1].ts || e.rel <= times[i-1].rel) {
				t.Fatalf("time entries do not rise: %v", times)
			}
		}
		if a, err := decodeTxnIndex("f", b, 0); err == nil && string(encodeTxnIndex(a)) != string(b) && len(b) > 0 {
			t.Fatalf("transaction index %x came back as %x", b, encodeTxnIndex(a))
		}
		if rows, err := decodeSnapshot("f", b); err == nil {
			var p producers
			p.restore(rows, 0)
			if n := len(p.list()); n > len(rows) {
				t.Fatalf("%d producers from %d rows", n, len(rows))
			}
			p.snapshot()
		}
	})
}

// FuzzRecovery puts arbitrary bytes behind what was acknowledged, and in the place of any derived file: opening does not panic, refuses
// only with an error that names a file, and never loses what was acknowledged.
func FuzzRecovery(f *testing.F) {
	torn := simple(f, 5, "torn")
	torn.SetBaseOffset(60)
	f.Add(byte(0), []byte(torn[:len(torn)-1]))
	f.Add(byte(0), append(append([]byte(nil), torn...), torn...))
	f.Add(byte(0), make([]byte, 4096))
	for i := range fuzzFiles {
		f.Add(byte(i), []byte("0\n1\norders 0 9999\n"))
		f.Add(byte(i), unhex(f, "00000009 00000064  0000000b 000000c8"))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		fsys := vfs.NewMemory()
		s := openStore(t, testConfig(fsys))
		c := DefaultLogConfig()
		c.SegmentBytes, c.IndexIntervalBytes, c.RetentionMs = 1000, 200, -1
		l := newLog(t, s, c)
		for i := range int32(30) {
			mustAppend(t, l, idempotent(t, 7, 0, 2*i, 2))
		}
		if err := l.seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		victim := fuzzFiles[int(which)%len(fuzzFiles)]
		if strings.HasSuffix(victim, logSuffix) {
			victim = path.Join(l.path, segmentName(l.view.Load().last().base, logSuffix))
			fsys = fsys.Kill()
			overwrite(t, fsys, victim, func(was []byte) []byte { return append(was, b...) })
		} else {
			if which%2 == 0 {
				closeStore(t, s)
			} else {
				fsys = fsys.Kill()
			}
			f, err := fsys.Create(victim)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		cfg := testConfig(fsys)
		cfg.TopicConfig = func(string) LogConfig { return c }
		s, err := Open(context.Background(), cfg)
		if err != nil {
			var format *FormatError
			var newer *NewerFormatError
			var wrong *MismatchError
			if !errors.As(err, &format) && !errors.As(err, &newer) && !errors.As(err, &wrong) {
				t.Fatalf("open: %v", err)
			}
			return
		}
		l = s.Get(tp0)
		start, end := l.StartOffset(), l.EndOffset()
		if strings.HasSuffix(victim, logStartsName) && start > 0 {
			return // it says that records were deleted, and there is no telling whether it lies
		}
		if start != 0 || end < 60 {
			t.Fatalf("%s: [%d, %d), 60 records were acknowledged", victim, start, end)
		}
		got, err := tryReadAll(l, 0)
		if err != nil {
			t.Fatalf("%s: %v", victim, err)
		}
		for i := range 60 {
			if want := fmt.Sprintf("%d=p7-%d", i, i); got[i] != want {
				t.Fatalf("%s: record %d is %s", victim, i, got[i])
			}
		}
		if off, _, _, found, err := l.OffsetForTime(1001, math.MaxInt64); err != nil || !found || off != 1 {
			t.Fatalf("%s: time lookup gave %d, %v, %v", victim, off, found, err)
		}
		mustAppend(t, l, simple(t, 1, "next"))
		if err := s.Close(t.Context()); err != nil {
			t.Fatalf("%s: close: %v", victim, err)
		}
	})
}

var fuzzFiles = []string{
	"/data/orders-0/" + "00000000000000000000" + logSuffix,
	"/data/orders-0/" + "00000000000000000000" + indexSuffix,
	"/data/orders-0/" + "00000000000000000000" + timeIndexSuffix,
	"/data/orders-0/" + "00000000000000000000" + txnIndexSuffix,
	"/data/orders-0/" + "00000000000000000018" + snapshotSuffix,
	"/data/orders-0/" + "00000000000000000060" + snapshotSuffix,
	"/data/orders-0/" + epochsName,
	"/data/orders-0/" + metadataName,
	"/data/" + recoveryPointsName,
	"/data/" + logStartsName,
	"/data/" + highWatermarksName,
	"/data/" + cleanerName,
	"/data/" + endSizesName,
	"/data/" + metaName,
	"/data/" + formatName,
	"/data/" + cleanName,
}
