package clients

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Kcat is the Debian package kcat: librdkafka 2.0 on the command line.
type Kcat struct{}

func (Kcat) Name() string { return "kcat" }

func (Kcat) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "kcat", "-V").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kcat is not there: run interop/install.sh: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "Version "); ok {
			version, libs, _ := strings.Cut(rest, " (")
			if _, lib, ok := strings.Cut(libs, "librdkafka "); ok {
				version += ", librdkafka " + strings.Fields(lib)[0]
			}
			return version, nil
		}
	}
	return "", errors.New("kcat -V names no version")
}

func (Kcat) Lacks(f Feature) string {
	switch f {
	case Create, Admin:
		return "kcat has no admin commands beyond listing"
	case Timestamps:
		return "kcat stamps records itself"
	case NullHeader, EmptyKey, NullValue, EmptyValue:
		return "not expressible on kcat's command line"
	}
	return ""
}

func (Kcat) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "kcat", args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &problems
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("kcat %s: %w: %s", args[0], err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), err
}

func (k Kcat) CreateTopic(context.Context, string, string, int, map[string]string) error {
	return errors.ErrUnsupported
}

func (k Kcat) AlterConfig(context.Context, string, string, string, string) error {
	return errors.ErrUnsupported
}

func (k Kcat) Describe(ctx context.Context, addr, topic string) (Description, error) {
	return Description{}, errors.ErrUnsupported
}

func (k Kcat) Produce(ctx context.Context, addr string, p Produce) error {
	base := []string{"-P", "-E", "-b", addr, "-t", p.Topic, "-z", p.Codec, "-X", "acks=all", "-X", "message.max.bytes=2097152", "-X", "linger.ms=1",
		"-X", "message.timeout.ms=60000"}
	if p.Idempotent {
		base = append(base, "-X", "enable.idempotence=true")
	}
	if p.Interval > 0 || len(p.Records) > 50 {
		return k.produceStream(ctx, base, p)
	}
	dir, err := os.MkdirTemp("", "kcat-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "value")
	for _, r := range p.Records { // keys and headers hold for a whole call: one call each
		if err := os.WriteFile(file, r.Value, 0o600); err != nil {
			return err
		}
		args := append(base[:len(base):len(base)], "-p", strconv.Itoa(int(r.Partition)))
		if r.Key != nil {
			args = append(args, "-k", string(r.Key))
		}
		for _, h := range r.Headers {
			args = append(args, "-H", h.Key+"="+string(h.Value))
		}
		if _, err := k.run(ctx, nil, append(args, file)...); err != nil {
			return err
		}
	}
	return nil
}

// produceStream feeds one kcat per partition through its standard input, a line a record.
func (k Kcat) produceStream(ctx context.Context, base []string, p Produce) error {
	feeds := map[int32]*io.PipeWriter{}
	results := make(chan error, len(p.Records))
	for _, r := range p.Records {
		if feeds[r.Partition] != nil {
			continue
		}
		reader, writer := io.Pipe()
		feeds[r.Partition] = writer
		args := append(base[:len(base):len(base)], "-p", strconv.Itoa(int(r.Partition)), "-K", "\t")
		go func() {
			_, err := k.run(ctx, reader, args...)
			reader.CloseWithError(err)
			results <- err
		}()
	}
	pace := newPace(p.Interval)
	for _, r := range p.Records {
		pace.wait(ctx)
		if _, err := fmt.Fprintf(feeds[r.Partition], "%s\t%s\n", r.Key, r.Value); err != nil {
			break
		}
	}
	for _, w := range feeds {
		w.Close()
	}
	return firstOf(ctx, results, len(feeds))
}

func (k Kcat) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := map[string]string{FromStart: "beginning", FromEnd: "end", FromStamp: "s@" + strconv.FormatInt(q.Timestamp, 10)}[q.From]
	type result struct {
		r   Record
		err error
	}
	results := make(chan result)
	for _, p := range q.Partitions {
		// Sizes before bytes, so that any byte may occur in a key or value.
		cmd := exec.CommandContext(ctx, "kcat", "-C", "-q", "-u", "-b", addr, "-t", q.Topic, "-p", strconv.Itoa(int(p)), "-o", from,
			"-X", "fetch.wait.max.ms=100", "-f", `%o %T %K %S %h`+"\n"+`%k%s`+"\n")
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		var problems bytes.Buffer
		cmd.Stderr = &problems
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		go func() {
			defer cmd.Wait()
			in := bufio.NewReader(out)
			for {
				r, err := kcatRecord(in)
				r.Partition = p
				if err != nil && problems.Len() > 0 {
					err = fmt.Errorf("%w: %s", err, problems.String())
				}
				select {
				case results <- result{r, err}:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
			}
		}()
	}
	var got []Record
	for len(got) < q.Count {
		select {
		case one := <-results:
			if one.err != nil {
				return got, one.err
			}
			got = append(got, one.r)
		case <-ctx.Done():
			return got, fmt.Errorf("%d of %d records: %w", len(got), q.Count, ctx.Err())
		}
	}
	return got, nil
}

func kcatRecord(in *bufio.Reader) (Record, error) {
	var r Record
	line, err := in.ReadString('\n')
	if err != nil {
		return r, err
	}
	fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
	if len(fields) != 5 {
		return r, fmt.Errorf("kcat printed %q", line)
	}
	var sizes [2]int
	r.Offset, _ = strconv.ParseInt(fields[0], 10, 64)
	r.Timestamp, _ = strconv.ParseInt(fields[1], 10, 64)
	for i := range sizes {
		sizes[i], _ = strconv.Atoi(fields[2+i])
	}
	for i, dst := range []*[]byte{&r.Key, &r.Value} {
		if sizes[i] < 0 { // null
			continue
		}
		*dst = make([]byte, sizes[i])
		if _, err := io.ReadFull(in, *dst); err != nil {
			return r, err
		}
	}
	if _, err := in.ReadByte(); err != nil {
		return r, err
	}
	if fields[4] != "" {
		for _, pair := range strings.Split(fields[4], ",") {
			key, value, _ := strings.Cut(pair, "=")
			h := Header{Key: key, Value: []byte(value)}
			if value == "NULL" {
				h.Value = nil
			}
			r.Headers = append(r.Headers, h)
		}
	}
	return r, nil
}
