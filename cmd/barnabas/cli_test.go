package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
)

var rewrite = flag.Bool("rewrite", false, "write golden files and docs/cli.md anew")

// newCluster is a Kafka-speaking peer within the test that is not ours, so that no mistake of ours is on both sides.
func newCluster(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ClusterID("test-cluster")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// result is one run of the command line.
type result struct {
	out, err string
	code     int
}

// at is the clock of the commands under test.
var at = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func invoke(t *testing.T, addr, stdin string, args ...string) result {
	t.Helper()
	return invokeCtx(t, t.Context(), addr, strings.NewReader(stdin), nil, args...)
}

func invokeCtx(t *testing.T, ctx context.Context, addr string, stdin io.Reader, stdout io.Writer, args ...string) result {
	t.Helper()
	var out, errb bytes.Buffer
	if stdout == nil {
		stdout = &out
	}
	env := map[string]string{"BARNABAS_BOOTSTRAP": addr}
	a := newApp(stdin, stdout, &errb, func(k string) string { return env[k] })
	a.now = func() time.Time { return at }
	code := run(ctx, a, args)
	return result{out.String(), errb.String(), code}
}

// ok runs a command that must succeed and returns its output.
func ok(t *testing.T, addr, stdin string, args ...string) string {
	t.Helper()
	r := invoke(t, addr, stdin, args...)
	if r.code != 0 {
		t.Fatalf("barnabas %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// refused runs a command that must end with the code and say all of the texts on stderr.
func refused(t *testing.T, code int, addr, stdin string, args []string, say ...string) {
	t.Helper()
	r := invoke(t, addr, stdin, args...)
	if r.code != code {
		t.Errorf("barnabas %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	for _, s := range say {
		if !strings.Contains(r.err, s) {
			t.Errorf("barnabas %s: stderr does not say %q:\n%s", strings.Join(args, " "), s, r.err)
		}
	}
}

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// golden compares with testdata/name after hiding what differs from run to run.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for _, h := range []struct{ re, with string }{
		{`127\.0\.0\.1:\d+`, "HOST:PORT"},
		{`"port": \d+`, `"port": 0`},
		{`port: \d+`, `port: 0`},
		{`(\bid"?:?\s+"?)[A-Za-z0-9_-]{22}\b`, "${1}TOPIC-ID-OF-22-LETTERS"},
	} {
		got = regexp.MustCompile(h.re).ReplaceAllString(got, h.with)
	}
	file := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./cmd/barnabas -run %s -rewrite writes it)", err, t.Name())
	}
	equal(t, string(want), got)
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
