package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// Reading the files of a log directory without a Store, for `barnabas log dump`. Nothing here changes a file or takes a lock.

// maxDumpBatch bounds the batches a dump reads whole; larger ones are shown by their header.
const maxDumpBatch = 256 << 20

// DumpBatch is one batch of a .log file.
type DumpBatch struct {
	Position int64
	Size     int64
	// Header is the batch's first 61 bytes; only header accessors may be used on it. Valid until the callback returns.
	Header batch.Batch
	// Whole is the batch, nil when it is too large to show. Valid until the callback returns.
	Whole    batch.Batch
	ValidCRC bool
}

// DumpLog calls fn for each batch of a .log file. A file that does not end with a whole batch gives a *CorruptError after the batches before.
func DumpLog(fsys vfs.FS, name string, fn func(*DumpBatch) error) error {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	w := newWalker(f, name, 0, size)
	defer w.close()
	chunk := make([]byte, crcBuffer)
	var whole []byte
	for {
		h, err := w.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		d := DumpBatch{Position: w.start, Size: w.total, Header: h}
		if w.total <= maxDumpBatch {
			if int64(cap(whole)) < w.total {
				whole = make([]byte, w.total)
			}
			d.Whole = batch.Batch(whole[:w.total])
			if n, err := f.ReadAt(d.Whole, w.start); n < len(d.Whole) {
				return errors.Join(io.ErrUnexpectedEOF, err)
			}
			d.ValidCRC = d.Whole.ValidCRC()
		} else {
			crc, err := batchCRC(context.Background(), f, w.start, w.total, chunk)
			if err != nil {
				return err
			}
			d.ValidCRC = crc == h.CRC()
		}
		if err := fn(&d); err != nil {
			return err
		}
	}
}

// DumpIndexEntry is one entry of an .index file.
type DumpIndexEntry struct {
	Offset   int64 // last offset of the batch at Position
	Position int64
	Problem  string // "" when the .log agrees
}

// DumpIndex decodes an .index file and compares each entry with the .log beside it. Trailing zeros, which Kafka preallocates, are left out.
func DumpIndex(fsys vfs.FS, name string) ([]DumpIndexEntry, error) {
	base, b, err := dumpFile(fsys, name, indexSuffix, indexEntrySize)
	if err != nil {
		return nil, err
	}
	log, size, err := openBeside(fsys, name, base)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var out []DumpIndexEntry
	for at := 0; at < len(b); at += indexEntrySize {
		rel, pos := be32(b[at:]), be32(b[at+4:])
		e := DumpIndexEntry{Offset: base + int64(rel), Position: int64(pos)}
		w := newWalker(log, name, e.Position, size)
		w.small = true
		switch h, err := w.next(); {
		case err != nil:
			e.Problem = fmt.Sprintf("no batch at this position: %v", err)
		case h.LastOffset() != e.Offset:
			e.Problem = fmt.Sprintf("the batch at this position ends with offset %d", h.LastOffset())
		case len(out) > 0 && e.Offset <= out[len(out)-1].Offset:
			e.Problem = "offsets do not rise"
		}
		w.close()
		out = append(out, e)
	}
	return out, nil
}

// DumpTimeEntry is one entry of a .timeindex file.
type DumpTimeEntry struct {
	Timestamp int64
	Offset    int64
	Problem   string // "" when the .log agrees
}

// DumpTimeIndex decodes a .timeindex file and compares it with the .log beside it.
func DumpTimeIndex(fsys vfs.FS, name string) ([]DumpTimeEntry, error) {
	base, b, err := dumpFile(fsys, name, timeIndexSuffix, timeEntrySize)
	if err != nil {
		return nil, err
	}
	var out []DumpTimeEntry
	for at := 0; at < len(b); at += timeEntrySize {
		e := DumpTimeEntry{Timestamp: be64(b[at:]), Offset: base + int64(be32(b[at+8:]))}
		if n := len(out); n > 0 && (e.Timestamp <= out[n-1].Timestamp || e.Offset < out[n-1].Offset) {
			e.Problem = "timestamps and offsets do not rise"
		}
		out = append(out, e)
	}
	// One walk over the batches: the largest timestamp up to each entry's offset must be the entry's.
	log, size, err := openBeside(fsys, name, base)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	w := newWalker(log, name, 0, size)
	defer w.close()
	newest, i := int64(-1), 0
	for i < len(out) {
		h, err := w.next()
		if err != nil {
			for ; i < len(out); i++ {
				out[i].Problem = "the log has no batch with this offset"
			}
			break
		}
		newest = max(newest, h.MaxTimestamp())
		for ; i < len(out) && out[i].Offset <= h.LastOffset(); i++ {
			if out[i].Problem == "" && newest != out[i].Timestamp {
				out[i].Problem = fmt.Sprintf("the largest timestamp up to this offset is %d", newest)
			}
		}
	}
	return out, nil
}

// DumpTxnIndex decodes a .txnindex file.
func DumpTxnIndex(fsys vfs.FS, name string) ([]AbortedTxn, error) {
	base, b, err := dumpFile(fsys, name, txnIndexSuffix, 0)
	if err != nil {
		return nil, err
	}
	return decodeTxnIndex(name, b, base)
}

// DumpSnapshot decodes a .snapshot file.
func DumpSnapshot(fsys vfs.FS, name string) ([]SnapshotRow, error) {
	b, err := readSmall(fsys, name, maxSnapshot)
	if err != nil {
		return nil, err
	}
	return decodeSnapshot(name, b)
}

// DumpOffsets decodes one of the offset checkpoints of a log directory.
func DumpOffsets(fsys vfs.FS, name string) (map[kafka.TopicPartition]int64, error) {
	b, err := readSmall(fsys, name, maxSmallFile)
	if err != nil {
		return nil, err
	}
	return decodeOffsets(name, b)
}

// DumpEpochs decodes a leader-epoch-checkpoint.
func DumpEpochs(fsys vfs.FS, name string) ([]EpochEntry, error) {
	b, err := readSmall(fsys, name, maxSmallFile)
	if err != nil {
		return nil, err
	}
	return decodeEpochs(name, b)
}

// DumpPartitionMetadata decodes a partition.metadata.
func DumpPartitionMetadata(fsys vfs.FS, name string) (kafka.TopicID, error) {
	b, err := readSmall(fsys, name, 1<<10)
	if err != nil {
		return kafka.TopicID{}, err
	}
	return decodePartitionMetadata(name, b)
}

// dumpFile reads a companion file, without the zeros that a preallocated one ends with.
func dumpFile(fsys vfs.FS, name, suffix string, entry int) (base int64, b []byte, err error) {
	base, got, ok := parseSegmentName(path.Base(name))
	if !ok || got != suffix {
		return 0, nil, fmt.Errorf("%s is not named like a segment's %s file", name, suffix)
	}
	if b, err = readSmall(fsys, name, 1<<30); err != nil {
		return 0, nil, err
	}
	if entry == 0 {
		return base, b, nil
	}
	if extra := len(b) % entry; extra != 0 {
		return 0, nil, &FormatError{File: name, Reason: fmt.Sprintf("%d bytes are no whole number of %d-byte entries", len(b), entry)}
	}
	n := len(b)
	for n > 0 && allZero(b[n-entry:n]) {
		n -= entry
	}
	return base, b[:n], nil
}

func openBeside(fsys vfs.FS, name string, base int64) (vfs.File, int64, error) {
	f, err := fsys.OpenRead(path.Join(path.Dir(name), segmentName(base, logSuffix)))
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
