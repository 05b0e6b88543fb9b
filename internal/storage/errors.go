package storage

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ErrClosed answers every call on a log or store that was closed, or on a log that was deleted.
var ErrClosed = errors.New("the log is closed")

// ErrTooManyFiles answers an append for which the process had no descriptor left. Nothing was written and the disk is not to blame: it may be
// tried again.
var ErrTooManyFiles = errors.New("the process has too many open files; raise its limit (ulimit -n), or lower open.files.max or max.connections")

// noDescriptor reports whether err is for want of a descriptor.
func noDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// OfflineError says that a log directory had a failed write or sync. What the disk holds after that is unknown, so nothing in the
// directory is served again until the store is opened anew and recovery has looked at every byte above the recovery point.
type OfflineError struct {
	Dir string // the log directory
	Op  string // what was being done: "append to orders-3"
	Err error  // what the file system said
}

func (e *OfflineError) Error() string {
	return fmt.Sprintf("log directory %s is offline since %s failed: %v; check the disk, then restart the broker to recover it", e.Dir, e.Op, e.Err)
}

func (e *OfflineError) Unwrap() error { return e.Err }

// FullError says that an append was refused because the file system is down to its reserve. Nothing was written, nothing is lost, and
// appends work again once there is room.
type FullError struct {
	Dir            string
	Free, Reserved int64 // bytes
}

func (e *FullError) Error() string {
	return fmt.Sprintf("log directory %s has %d bytes free, fewer than log.dirs.reserved.bytes (%d); appends are refused until space is made", e.Dir, e.Free, e.Reserved)
}

// CorruptError points at bytes that are not what the format says.
type CorruptError struct {
	Segment  string // file name
	Position int64  // byte position in it
	Reason   string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s is corrupt at byte %d: %s", e.Segment, e.Position, e.Reason)
}

// StoppedError says that Open was told to stop before all logs were open. Whatever it did until then it would do again: nothing is lost, and the
// next Open recovers.
type StoppedError struct {
	Recovering bool  // the stop before was not clean
	Done, Logs int   // so many of the directory's logs were read
	Err        error // why the context ended
}

func (e *StoppedError) Error() string {
	doing := "opening"
	if e.Recovering {
		doing = "recovering"
	}
	return fmt.Sprintf("stopped while %s, with %d of %d logs done; the next start recovers them all: %v", doing, e.Done, e.Logs, e.Err)
}

func (e *StoppedError) Unwrap() error { return e.Err }

// FormatError says that a small file of ours or Kafka's (a checkpoint, meta.properties, a snapshot) cannot be read.
type FormatError struct {
	File   string
	Line   int // 1-based, 0 for a binary file
	Reason string
}

func (e *FormatError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Reason)
}

// NewerFormatError says that a log directory was written by a later Barnabas.
type NewerFormatError struct {
	Dir           string
	Found, Newest int // format versions: in the directory, and the newest this build knows
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("log directory %s has format version %d, this build knows up to %d; run the newer Barnabas that wrote it", e.Dir, e.Found, e.Newest)
}

// MismatchError says that a log directory belongs to another cluster or another node.
type MismatchError struct {
	Dir, Property, Found, Want string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("log directory %s belongs to %s %s, not %s; point log.dirs at this node's own directories", e.Dir, e.Property, e.Found, e.Want)
}

// MissingError says that a log directory is new while partitions have no log in any: as an empty mount point looks.
type MissingError struct {
	Dir   string
	First kafka.TopicPartition // one of those that are missing
	Count int
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("log directory %s is new, and %d partitions that have a log are in no directory (%v is one); is its disk not mounted? If what it held is lost for good, "+
		"write the line version=1 into %s, and they begin empty", e.Dir, e.Count, e.First, path.Join(e.Dir, metaName))
}

// Refusal is an append that the log's rules turn down; nothing was written. Code is what the client hears.
type Refusal struct {
	Code    kafka.ErrorCode
	Message string
}

func (e *Refusal) Error() string { return e.Code.String() + ": " + e.Message }

func refuse(code kafka.ErrorCode, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// OutOfRange answers a read below the log start or beyond the log end.
type OutOfRange struct {
	Offset, Start, End int64
}

func (e *OutOfRange) Error() string {
	return fmt.Sprintf("offset %d is outside the log, which holds [%d, %d)", e.Offset, e.Start, e.End)
}
