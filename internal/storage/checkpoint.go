package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// This file is the small text files: checkpoints of a log directory, the leader-epoch checkpoint and partition.metadata of a partition,
// and meta.properties. All are replaced whole: written aside, synced, renamed, and the folder synced.

// maxSmallFile bounds what is read of any small file: a checkpoint of 200,000 partitions with the longest names fits.
const maxSmallFile = 64 << 20

// writeAtomic replaces name by data; on return the new content survives a power cut, and before that the old one does.
func writeAtomic(fsys vfs.FS, name string, data []byte) error {
	if err := replaceFile(fsys, name, data); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(name))
}

// replaceFile is writeAtomic but for its end: until the caller syncs the folder, a power cut may bring the old content back.
func replaceFile(fsys vfs.FS, name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	return err
}

// readSmall reads a whole file of at most limit bytes.
func readSmall(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, &FormatError{File: name, Reason: fmt.Sprintf("is %d bytes long, at most %d make sense", size, limit)}
	}
	buf := make([]byte, size)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}

// checkpointLines splits "version, count, lines" and checks both numbers. Each line keeps its 1-based number: first is line 3.
func checkpointLines(file string, data []byte) ([]string, error) {
	text := strings.TrimRight(string(data), "\r\n")
	lines := strings.Split(text, "\n")
	if len(lines) < 2 {
		return nil, &FormatError{File: file, Line: 1, Reason: "a checkpoint starts with a version and a count line"}
	}
	if v := strings.TrimSpace(lines[0]); v != "0" {
		return nil, &FormatError{File: file, Line: 1, Reason: fmt.Sprintf("version %q is not known, only 0", clip(v))}
	}
	n, err := strconv.Atoi(strings.TrimSpace(lines[1]))
	if err != nil || n < 0 {
		return nil, &FormatError{File: file, Line: 2, Reason: fmt.Sprintf("%q is no count", clip(lines[1]))}
	}
	lines = lines[2:]
	if n != len(lines) {
		return nil, &FormatError{File: file, Line: 2, Reason: fmt.Sprintf("says %d entries, there are %d", n, len(lines))}
	}
	return lines, nil
}

// clip keeps foreign text in messages short.
func clip(s string) string {
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return s
}

// encodeOffsets is a checkpoint "topic partition offset", sorted so that the same state gives the same bytes.
func encodeOffsets(m map[kafka.TopicPartition]int64) []byte {
	keys := make([]kafka.TopicPartition, 0, len(m))
	for tp := range m { // any order: sorted below
		keys = append(keys, tp)
	}
	slices.SortFunc(keys, kafka.TopicPartition.Compare)
	b := make([]byte, 0, 16+32*len(keys))
	b = append(b, "0\n"...)
	b = strconv.AppendInt(b, int64(len(keys)), 10)
	b = append(b, '\n')
	for _, tp := range keys {
		b = append(b, tp.Topic...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(tp.Partition), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, m[tp], 10)
		b = append(b, '\n')
	}
	return b
}

// decodeOffsets reads what encodeOffsets, or Kafka, wrote. Partitions and offsets are never negative, and none may come twice.
func decodeOffsets(file string, data []byte) (map[kafka.TopicPartition]int64, error) {
	lines, err := checkpointLines(file, data)
	if err != nil {
		return nil, err
	}
	m := make(map[kafka.TopicPartition]int64, len(lines))
	for i, line := range lines {
		fail := func(reason string) error {
			return &FormatError{File: file, Line: i + 3, Reason: fmt.Sprintf("%s: %q", reason, clip(line))}
		}
		f := strings.FieldsFunc(line, unicode.IsSpace)
		if len(f) != 3 {
			return nil, fail("an entry is topic, partition, offset")
		}
		p, err := strconv.ParseInt(f[1], 10, 32)
		if err != nil || p < 0 {
			return nil, fail("bad partition")
		}
		off, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil || off < 0 {
			return nil, fail("bad offset")
		}
		tp := kafka.TopicPartition{Topic: f[0], Partition: int32(p)}
		if _, twice := m[tp]; twice {
			return nil, fail("second entry of the partition")
		}
		m[tp] = off
	}
	return m, nil
}

// EpochEntry says that leader epoch Epoch began at offset Start.
type EpochEntry struct {
	Epoch int32
	Start int64
}

func encodeEpochs(entries []EpochEntry) []byte {
	b := make([]byte, 0, 16+16*len(entries))
	b = append(b, "0\n"...)
	b = strconv.AppendInt(b, int64(len(entries)), 10)
	b = append(b, '\n')
	for _, e := range entries {
		b = strconv.AppendInt(b, int64(e.Epoch), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, e.Start, 10)
		b = append(b, '\n')
	}
	return b
}

// decodeEpochs reads a leader-epoch checkpoint; epochs and start offsets must rise strictly.
func decodeEpochs(file string, data []byte) ([]EpochEntry, error) {
	lines, err := checkpointLines(file, data)
	if err != nil {
		return nil, err
	}
	entries := make([]EpochEntry, 0, len(lines))
	for i, line := range lines {
		fail := func(reason string) error {
			return &FormatError{File: file, Line: i + 3, Reason: fmt.Sprintf("%s: %q", reason, clip(line))}
		}
		f := strings.FieldsFunc(line, unicode.IsSpace)
		if len(f) != 2 {
			return nil, fail("an entry is epoch, start offset")
		}
		epoch, err := strconv.ParseInt(f[0], 10, 32)
		if err != nil || epoch < 0 {
			return nil, fail("bad epoch")
		}
		start, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || start < 0 {
			return nil, fail("bad offset")
		}
		e := EpochEntry{Epoch: int32(epoch), Start: start}
		if n := len(entries); n > 0 && (e.Epoch <= entries[n-1].Epoch || e.Start <= entries[n-1].Start) {
			return nil, fail("epochs and offsets must rise")
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func encodePartitionMetadata(id kafka.TopicID) []byte {
	return []byte("version: 0\ntopic_id: " + id.String() + "\n")
}

func decodePartitionMetadata(file string, data []byte) (kafka.TopicID, error) {
	var id kafka.TopicID
	seen := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		fail := func(reason string) error {
			return &FormatError{File: file, Line: i + 1, Reason: fmt.Sprintf("%s: %q", reason, clip(line))}
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if !ok || seen[key] {
			return id, fail("expected one version and one topic_id line")
		}
		seen[key] = true
		switch key {
		case "version":
			if value != "0" {
				return id, fail("only version 0 is known")
			}
		case "topic_id":
			var err error
			if id, err = kafka.ParseTopicID(value); err != nil {
				return id, fail(err.Error())
			}
		default:
			return id, fail("unknown key")
		}
	}
	if !seen["version"] || !seen["topic_id"] {
		return id, &FormatError{File: file, Reason: "version or topic_id is missing"}
	}
	return id, nil
}

// metaProperties is meta.properties: whose directory this is.
type metaProperties struct {
	ClusterID   string
	NodeID      string
	DirectoryID string
}

func (m *metaProperties) encode() []byte {
	var b bytes.Buffer
	b.WriteString("#\n#written by Barnabas\n")
	for _, kv := range [][2]string{{"cluster.id", m.ClusterID}, {"directory.id", m.DirectoryID}, {"node.id", m.NodeID}, {"version", "1"}} {
		if kv[1] != "" {
			b.WriteString(kv[0] + "=" + kv[1] + "\n")
		}
	}
	return b.Bytes()
}

// decodeMetaProperties reads the Java properties that Kafka and we write: version 0 says broker.id, version 1 node.id.
func decodeMetaProperties(file string, data []byte) (*metaProperties, error) {
	m := &metaProperties{}
	version := ""
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, &FormatError{File: file, Line: i + 1, Reason: fmt.Sprintf("%q is no key=value", clip(line))}
		}
		value = strings.ReplaceAll(strings.TrimSpace(value), `\`, "")
		switch strings.TrimSpace(key) {
		case "version":
			version = value
		case "cluster.id":
			m.ClusterID = value
		case "node.id", "broker.id":
			m.NodeID = value
		case "directory.id":
			m.DirectoryID = value
		}
	}
	if version != "0" && version != "1" {
		return nil, &FormatError{File: file, Reason: fmt.Sprintf("version %q is not known, only 0 and 1", clip(version))}
	}
	return m, nil
}

// decodeFormatVersion reads barnabas.format.
func decodeFormatVersion(file string, data []byte) (int, error) {
	s, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "version=")
	v, err := strconv.Atoi(s)
	if !ok || err != nil || v < 1 {
		return 0, &FormatError{File: file, Line: 1, Reason: fmt.Sprintf("%q is not version=N", clip(string(data)))}
	}
	return v, nil
}

func encodeFormatVersion(v int) []byte { return []byte("version=" + strconv.Itoa(v) + "\n") }

// missing reports whether err means that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
