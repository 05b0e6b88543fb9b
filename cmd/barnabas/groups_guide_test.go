package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestGroupsGuideRuns does what docs/groups.md says, line by line, in a shell, with two clusters in the place of kafka-a and kafka-b.
func TestGroupsGuideRuns(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine; the guide is written for one")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "groups.md"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := newCluster(t, kfake.SeedTopics(2, "orders"), kfake.SeedTopics(1, "payments")), newCluster(t, kfake.SeedTopics(2, "orders"), kfake.SeedTopics(1, "payments"))
	for _, addr := range []string{a, b} {
		for _, where := range [][]string{{"orders", "-p", "0"}, {"orders", "-p", "1"}, {"payments"}} {
			ok(t, addr, strings.Repeat("record\n", 200), append([]string{"produce", "-t", "2026-01-31T11:00:00Z"}, where...)...)
		}
	}
	ok(t, a, "billing,orders,0,150\nbilling,orders,1,120\nbilling,payments,0,7\nshipping,orders,0,3\ntest-1,orders,0,0\n", "groups", "import", "-", "--execute")

	// `barnabas` in the script is this test binary, which TestMain turns into the command.
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "barnabas"), []byte("#!/bin/sh\nBARNABAS_TEST_AS_COMMAND=1 exec '"+self+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "BARNABAS_BOOTSTRAP="+a)
	run := 0
	for _, fence := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(fence[1]) {
			line = strings.NewReplacer("kafka-a:9092", a, "kafka-b:9092", b, "--watch --interval 5s", "--watch --rounds 1").Replace(strings.TrimSpace(line))
			if strings.HasPrefix(line, "export ") {
				continue
			}
			run++
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			cmd := exec.CommandContext(ctx, shell, "-c", line)
			cmd.Dir, cmd.Env = dir, env
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out.String())
			}
			cancel()
		}
	}
	if run < 25 {
		t.Errorf("the guide has %d commands only; does the pattern still fit?", run)
	}
	equal(t, "test-1,orders,0,0\n", ok(t, a, "", "groups", "export", "*", "--with-group")) // billing has moved, shipping is deleted
	moved := ok(t, b, "", "groups", "export", "billing")
	if !strings.Contains(moved, "orders,0,") || !strings.Contains(moved, "orders,1,") || strings.Contains(moved, "payments") {
		t.Errorf("billing in the new cluster: %q", moved)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("BARNABAS_TEST_AS_COMMAND") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}
