package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// need fails the test when a part of it is not installed, and says what to do: it never passes by being skipped.
func need(t *testing.T) {
	t.Helper()
	for _, program := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; ./install.sh brings it", err)
		}
	}
	for _, module := range []string{"playwright-core", "axe-core"} {
		if _, err := os.Stat(filepath.Join("node_modules", module)); err != nil {
			t.Fatalf("%v; ./install.sh brings it", err)
		}
	}
}

// browser is a running browser.mjs.
type browser struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	errs  strings.Builder
}

// browse starts browser.mjs, in the folder of this test.
func browse(t *testing.T, mode, base string) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, cmd: exec.CommandContext(ctx, "node", "browser.mjs", mode, base)}
	b.cmd.Env = append(os.Environ(), "CHROMIUM="+chromium)
	b.cmd.Stderr = &b.errs
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b.lines = bufio.NewScanner(out)
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return b
}

// expect says what the page is to show, and waits until it has been seen.
func (b *browser) expect(what string) {
	b.t.Helper()
	fmt.Fprintln(b.in, what)
	if !b.lines.Scan() || !strings.HasPrefix(b.lines.Text(), "ok ") {
		b.t.Errorf("%s: %s", what, b.lines.Text())
		b.wait()
		b.t.FailNow()
	}
	b.t.Log(b.lines.Text())
}

// wait logs what is still to be said, and fails the test if the end is not a good one.
func (b *browser) wait() {
	b.t.Helper()
	b.in.Close()
	for b.lines.Scan() {
		b.t.Log(b.lines.Text())
	}
	if err := b.cmd.Wait(); err != nil {
		b.t.Fatalf("%v\n%s", err, b.errs.String())
	}
}

// TestEveryPageAndClick walks through the made-up broker: every page in light and dark, on a laptop and a phone, with axe-core; then by mouse, by
// keyboard alone, without scripts, and past hostile names.
func TestEveryPageAndClick(t *testing.T) {
	browse(t, "fixture", madeUp(t)).wait()
}

// TestTenThousandGroups opens the list of as many groups, and a group with very many incidents.
func TestTenThousandGroups(t *testing.T) {
	browse(t, "many", madeUp(t, "-many", "10000")).wait()
}

// madeUp starts the made-up broker and says where it is.
func madeUp(t *testing.T, args ...string) string {
	t.Helper()
	need(t)
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	server := filepath.Join(t.TempDir(), "console")
	build := exec.Command("go", "build", "-o", server, "./tools/console")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the made-up broker: %v\n%s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, server, args...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimSpace(line), "/console/")
}

// TestLivePage keeps a group's page open while real members come and go: it follows without being loaded again.
func TestLivePage(t *testing.T) {
	need(t)
	b := rig.StartT(t, rig.Barnabas, rig.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	admin, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin).CreateTopic(ctx, 6, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := admin.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	join := func() (leave func()) {
		c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr), kgo.ConsumerGroup("shop"), kgo.ConsumeTopics("orders"), kgo.HeartbeatInterval(500*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		lived, end := context.WithCancel(ctx)
		go func() {
			defer close(done)
			for lived.Err() == nil {
				c.PollFetches(lived)
			}
		}()
		return func() {
			end()
			<-done
			c.Close()
		}
	}
	first := join()
	defer first()
	// The page is there once the group is.
	described := kadm.NewClient(admin)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) { // between two questions
		g, err := described.DescribeGroups(ctx, "shop")
		if err == nil && len(g["shop"].Members) == 1 && g["shop"].State == "Stable" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no member: %v %v", g, err)
		}
	}
	page := browse(t, "live", "http://"+b.AdminAddr())
	page.expect("members 1")
	second := join()
	page.expect("members 2")
	third := join()
	page.expect("members 3")
	page.expect("incidents 2")
	third()
	page.expect("members 2")
	second()
	page.expect("members 1")
	page.expect("incidents 3")
	page.wait()
}
