package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// fault is an error for a human: one line that says what happened and one that says what to do about it.
type fault struct {
	what string
	cure string // may be empty when there is nothing sensible to say
	code int
	err  error
}

func (f *fault) Error() string { return f.what }
func (f *fault) Unwrap() error { return f.err }

func usage(what, cure string) error { return &fault{what: what, cure: cure, code: exitUsage} }
func failed(what, cure string) error {
	return &fault{what: what, cure: cure, code: exitFailed}
}

// wrap says what we were doing when err came; explain finds the cure.
func wrap(err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(doing+": %w", append(args, err)...)
}

// explain turns any error into a fault. It knows the ways in which a cluster cannot be reached and Kafka's error codes.
func (a *app) explain(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	at := strings.Join(a.bootstrap, ", ")
	out := &fault{what: err.Error(), code: exitFailed, err: err}
	var dns *net.DNSError
	var eof *kgo.ErrFirstReadEOF
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		if errors.Is(err, fs.ErrNotExist) {
			out.what, out.cure = fmt.Sprintf("%s does not exist", path.Path), "check the path"
		}
	case errors.As(err, &dns):
		out.what, out.cure, out.code = fmt.Sprintf("the name %q does not resolve", dns.Name), "check --bootstrap, or your DNS", exitUnreachable
	case errors.Is(err, syscall.ECONNREFUSED):
		out.what = "nothing listens on " + at
		out.cure = "start a broker with `barnabas serve`, or pass --bootstrap"
		out.code = exitUnreachable
	case errors.As(err, &eof):
		out.what = at + " closes the connection instead of answering"
		out.cure = "is it a Kafka listener without TLS and SASL? This build speaks plain connections only. Or is max.connections reached? The broker's log says so"
		out.code = exitUnreachable
	case errors.Is(err, context.DeadlineExceeded), isNetTimeout(err):
		out.what = "no answer from " + at + " in time"
		out.cure = "is the broker healthy and reachable? request.timeout.ms in --command-config gives it longer"
		out.code = exitUnreachable
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		out.what, out.cure, out.code = "no way to "+at, "check --bootstrap and the network", exitUnreachable
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.what, out.cure, out.code = at+" broke the connection: "+err.Error(), "look into the broker's log", exitUnreachable
	default:
		if ke := (*kerr.Error)(nil); errors.As(err, &ke) {
			prefix := strings.TrimSuffix(strings.TrimSuffix(err.Error(), ke.Error()), ": ")
			out.what = codeText(ke.Code, "")
			if prefix != "" {
				out.what = prefix + ": " + out.what
			}
			out.cure = cureOf(kafka.ErrorCode(ke.Code))
		} else if strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "invalid large response size") {
			out.what = at + " does not speak plain Kafka: " + err.Error()
			out.cure = "it may be a TLS or an HTTP port; pass the plain listener to --bootstrap"
			out.code = exitUnreachable
		}
	}
	return out
}

func isNetTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed)
}

// codeText is how a Kafka error code reads everywhere: its name, then what the broker said or else what the code means.
func codeText(code int16, message string) string {
	c := kafka.ErrorCode(code)
	if message == "" {
		message = c.Message()
	}
	return c.String() + ", " + message
}

// codeError is nil for code 0. The message is the broker's own, if it sent one.
func codeError(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	m := ""
	if message != nil {
		m = oneLine(*message)
	}
	return &fault{what: codeText(code, m), cure: cureOf(kafka.ErrorCode(code)), code: exitFailed, err: kerr.ErrorForCode(code)}
}

// cureOf is what a person can do about an error code; empty where the code says it all.
func cureOf(code kafka.ErrorCode) string {
	switch code {
	case kafka.UnknownTopicOrPartition:
		return "see the topics with `barnabas topics list`, or create one with `barnabas topics create NAME`"
	case kafka.TopicAlreadyExists:
		return "pass --if-not-exists to be content with the existing one"
	case kafka.InvalidReplicationFactor:
		return "use a --replication-factor of at most the number of brokers (`barnabas cluster`)"
	case kafka.InvalidPartitions:
		return "partitions can be added, never removed; `barnabas topics describe NAME` shows how many there are"
	case kafka.InvalidTopicException:
		return "names hold letters, digits, '.', '_' and '-', at most 249 of them"
	case kafka.InvalidConfig:
		return "see names and values with `barnabas config describe topic NAME --all`"
	case kafka.MessageTooLarge, kafka.RecordListTooLarge:
		return "raise max.message.bytes of the topic, or send smaller records"
	case kafka.OffsetOutOfRange:
		return "see the range with `barnabas offsets TOPIC`"
	case kafka.NotEnoughReplicas, kafka.NotEnoughReplicasAfterAppend:
		return "see who is in sync with `barnabas topics describe TOPIC`; min.insync.replicas asks for more"
	case kafka.LeaderNotAvailable, kafka.NotLeaderOrFollower:
		return "try again in a moment; `barnabas topics describe TOPIC` shows the leaders"
	case kafka.TopicAuthorizationFailed, kafka.ClusterAuthorizationFailed:
		return "ask for the rights, or use a principal that has them"
	case kafka.TopicDeletionDisabled:
		return "set delete.topic.enable=true on the brokers"
	case kafka.UnsupportedVersion:
		return "the broker is too old, or too new, for this request; `barnabas cluster api-versions` shows what it speaks"
	case kafka.KafkaStorageError:
		return "look into the broker's log: a disk has failed or is full"
	case kafka.PolicyViolation:
		return "records can be deleted only where cleanup.policy has delete; otherwise a policy of the brokers forbids the request"
	case kafka.InvalidRecord:
		return "a topic with cleanup.policy=compact takes only records with keys: pass --key or --key-separator"
	case kafka.InvalidTimestamp:
		return "see message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic"
	}
	return ""
}

func (a *app) printFault(f *fault) {
	label, reset := "", ""
	if a.errTTY && a.env("NO_COLOR") == "" && a.env("TERM") != "dumb" {
		label, reset = "\x1b[31m", "\x1b[0m"
	}
	// Lines are ours, what stands in them may be anybody's.
	for i, line := range strings.Split(f.what, "\n") {
		if i == 0 {
			fmt.Fprintf(a.err, "%serror:%s %s\n", label, reset, printable(line))
		} else {
			fmt.Fprintln(a.err, printable(line))
		}
	}
	if f.cure != "" {
		fmt.Fprintf(a.err, "  do:  %s\n", f.cure)
	}
}
