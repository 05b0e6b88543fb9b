package storage

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

func TestDump(t *testing.T) {
	fsys := vfs.NewMemory()
	s := openStore(t, testConfig(fsys))
	l, _ := segmented(t, s, 30)
	mustAppend(t, l, transactional(t, 5, 2, 0, "x"))
	mustAppendAs(t, l, marker(t, 5, 2, false, 3), Coordinator)
	l.SetHighWatermark(l.EndOffset())
	closeStore(t, s)
	bases := segmentBases(l)
	file := func(base int64, suffix string) string { return path.Join(l.path, segmentName(base, suffix)) }
	next, batches := int64(0), 0
	for _, base := range bases {
		err := DumpLog(fsys, file(base, logSuffix), func(b *DumpBatch) error {
			if b.Header.BaseOffset() != next || !b.ValidCRC || int64(len(b.Whole)) != b.Size {
				return fmt.Errorf("batch at %d: %+v, next is %d", b.Position, b, next)
			}
			next = b.Header.LastOffset() + 1
			batches++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		index, err := DumpIndex(fsys, file(base, indexSuffix))
		if err != nil || len(index) == 0 && base == bases[0] {
			t.Fatalf("index of %d: %v, %v", base, index, err)
		}
		for _, e := range index {
			if e.Problem != "" {
				t.Errorf("index: %+v", e)
			}
		}
		times, err := DumpTimeIndex(fsys, file(base, timeIndexSuffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range times {
			if e.Problem != "" {
				t.Errorf("time index: %+v", e)
			}
		}
	}
	if next != l.EndOffset() || batches != 32 {
		t.Errorf("%d batches up to %d", batches, next)
	}
	last := bases[len(bases)-1]
	txns, err := DumpTxnIndex(fsys, file(last, txnIndexSuffix))
	if diff := cmp.Diff([]AbortedTxn{{ProducerID: 5, FirstOffset: 60, LastOffset: 61, LastStableOffset: 62}}, txns); diff != "" || err != nil {
		t.Error(err, diff)
	}
	rows, err := DumpSnapshot(fsys, file(62, snapshotSuffix))
	if diff := cmp.Diff([]SnapshotRow{{ProducerID: 5, Epoch: 2, LastOffset: 60, Timestamp: 1000, CoordinatorEpoch: 3, TxnFirstOffset: -1}}, rows); diff != "" || err != nil {
		t.Error(err, diff)
	}
	points, err := DumpOffsets(fsys, "/data/"+recoveryPointsName)
	if diff := cmp.Diff(map[kafka.TopicPartition]int64{tp0: 62}, points); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if e, err := DumpEpochs(fsys, path.Join(l.path, epochsName)); err != nil || len(e) != 1 {
		t.Errorf("epochs %v, %v", e, err)
	}
	if id, err := DumpPartitionMetadata(fsys, path.Join(l.path, metadataName)); err != nil || id != topicID {
		t.Errorf("id %v, %v", id, err)
	}
	// Damage is named where it is.
	overwrite(t, fsys, file(0, indexSuffix), func(b []byte) []byte { b[7]++; return append(b, make([]byte, 800)...) })
	if index, err := DumpIndex(fsys, file(0, indexSuffix)); err != nil || index[0].Problem == "" || index[len(index)-1].Problem != "" {
		t.Errorf("damaged index: %+v, %v", index, err)
	}
	overwrite(t, fsys, file(0, timeIndexSuffix), func(b []byte) []byte { b[7]++; return b })
	if times, err := DumpTimeIndex(fsys, file(0, timeIndexSuffix)); err != nil || times[0].Problem == "" {
		t.Errorf("damaged time index: %+v, %v", times, err)
	}
	overwrite(t, fsys, file(0, logSuffix), func(b []byte) []byte { b[70] ^= 1; return b[:len(b)-3] })
	crcs := ""
	err = DumpLog(fsys, file(0, logSuffix), func(b *DumpBatch) error { crcs += fmt.Sprint(b.ValidCRC, " "); return nil })
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || !strings.HasPrefix(crcs, "false true") {
		t.Errorf("damaged log: %v, CRCs %s", err, crcs)
	}
	if _, err := DumpIndex(fsys, file(0, logSuffix)); err == nil {
		t.Error("a .log was read as an .index")
	}
}

// A directory as Kafka's broker leaves it: no format file of ours, preallocated indexes after a crash, a segment missing where compaction
// left nothing, batches with gaps.
func TestOpensADirectoryThatKafkaWrote(t *testing.T) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("clean=%v", clean), func(t *testing.T) {
			fsys := vfs.NewMemory()
			write := func(name string, b []byte) {
				t.Helper()
				if err := fsys.MkdirAll(path.Dir(name)); err != nil {
					t.Fatal(err)
				}
				f, err := fsys.Create(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt(b, 0); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			var log []byte
			for _, base := range []int64{0, 5, 9} {
				b := simple(t, 1000+base, fmt.Sprint("v", base), "x")
				b.SetBaseOffset(base)
				b.SetLeaderEpoch(2)
				log = append(log, b...)
			}
			tail := simple(t, 5000, "tail")
			tail.SetBaseOffset(40)
			tail.SetLeaderEpoch(6)
			zeros := make([]byte, 10<<10)
			write("/data/meta.properties", []byte("#\n#Fri Nov 20 10:00:00 UTC 2026\ncluster.id=cluster-1\ndirectory.id=6bb9ZvKQRkKiZ1X0wZLdtg\nnode.id=1\nversion=1\n"))
			write("/data/bootstrap.checkpoint", []byte("x"))
			write("/data/recovery-point-offset-checkpoint", []byte("0\n1\norders 0 41\n"))
			write("/data/replication-offset-checkpoint", []byte("0\n1\norders 0 41\n"))
			write("/data/orders-0/00000000000000000000.log", log)
			write("/data/orders-0/00000000000000000000.index", nil)
			write("/data/orders-0/00000000000000000000.timeindex", unhex(t, "00000000000003f2 0000000a"))
			write("/data/orders-0/00000000000000000040.log", tail)
			write("/data/orders-0/00000000000000000040.index", zeros)
			write("/data/orders-0/00000000000000000040.timeindex", zeros[:12*800])
			write("/data/orders-0/leader-epoch-checkpoint", []byte("0\n2\n2 0\n6 40\n"))
			write("/data/orders-0/partition.metadata", []byte("version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA"))
			if clean {
				write("/data/.kafka_cleanshutdown", []byte(`{"version":0,"brokerEpoch":17}`))
			}
			if err := fsys.MkdirAll("/data/gone-1.0123456789abcdef0123456789abcdef-delete"); err != nil {
				t.Fatal(err)
			}
			s := openStore(t, testConfig(fsys))
			l := s.Get(tp0)
			if len(s.Logs()) != 1 || l.TopicID() != topicID || l.EndOffset() != 41 || l.LatestEpoch() != 6 || l.HighWatermarkCheckpoint() != 41 {
				t.Fatalf("%d logs, id %v, end %d, epoch %d, high watermark %d", len(s.Logs()), l.TopicID(), l.EndOffset(), l.LatestEpoch(), l.HighWatermarkCheckpoint())
			}
			if d := s.Dirs()[0]; d.DirectoryID != "6bb9ZvKQRkKiZ1X0wZLdtg" || d.Clean != clean || clean && d.BrokerEpoch != 17 {
				t.Errorf("%+v", d)
			}
			want := []string{"0=v0", "1=x", "5=v5", "6=x", "9=v9", "10=x", "40=tail"}
			if diff := cmp.Diff(want, readAll(t, l, 0)); diff != "" {
				t.Error(diff)
			}
			for from, first := range map[int64]int64{0: 0, 2: 5, 6: 5, 7: 9, 11: 40, 39: 40} {
				sl, err := l.Read(from, 1000, 41, true)
				if err != nil || sl.FirstBatchBaseOffset() != first {
					t.Errorf("read from %d starts at %d, %v; want %d", from, sl.FirstBatchBaseOffset(), err, first)
				}
				sl.Release()
			}
			if r := mustAppend(t, l, simple(t, 6000, "ours")); r.BaseOffset != 41 {
				t.Errorf("next offset %d", r.BaseOffset)
			}
			closeStore(t, s)
			s = openStore(t, testConfig(fsys))
			if diff := cmp.Diff(append(want, "41=ours"), readAll(t, s.Get(tp0), 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
