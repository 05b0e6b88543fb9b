package batch

import (
	"fmt"
	"io"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Fault says what is wrong with a batch, in words for its producer.
type Fault struct {
	Code    kafka.ErrorCode
	Message string
	// Records names the records at fault, for the record_errors of Produce v8 and later. At most MaxRecordFaults of them: the answer to one request
	// must not outgrow the request.
	Records []RecordFault

	cause error
}

// RecordFault is one refused record.
type RecordFault struct {
	Index   int32 // of the record in its batch, from 0
	Message string
}

// MaxRecordFaults is how many refused records of one batch a Fault names; its message gives the number of all.
const MaxRecordFaults = 100

// Error is the message after Kafka's name of the code.
func (f *Fault) Error() string { return f.Code.String() + ": " + f.Message }

// Unwrap is io.ErrUnexpectedEOF where bytes end inside a batch, or the decompressor's error, or nil.
func (f *Fault) Unwrap() error { return f.cause }

func faultf(code kafka.ErrorCode, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// tornf is a Fault for bytes that end too early.
func tornf(format string, args ...any) *Fault {
	f := faultf(kafka.CorruptMessage, format, args...)
	f.cause = io.ErrUnexpectedEOF
	return f
}
