package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// tool finds a program of Debian's prometheus package; without it the test fails and says what to do.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v; ./install.sh brings it", err)
	}
	return path
}

func root(t *testing.T) string {
	t.Helper()
	r, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRules(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "barnabas.rules.yml"}, {"test", "rules", "barnabas.rules.test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = filepath.Join(root(t), "docs", "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// prometheus is a running server.
type prometheus struct{ base string }

func (p prometheus) get(path string, into any) error {
	r, err := http.Get(p.base + path)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", path, r.Status, b)
	}
	return json.Unmarshal(b, into)
}

// series is how many series an expression gives now.
func (p prometheus) series(expr string) (int, error) {
	var out struct {
		Data struct{ Result []json.RawMessage }
	}
	err := p.get("/api/v1/query?"+url.Values{"query": {expr}}.Encode(), &out)
	return len(out.Data.Result), err
}

// startPrometheus scrapes the broker every second, with the rules of docs.
func startPrometheus(t *testing.T, target string) prometheus {
	t.Helper()
	binary := tool(t, "prometheus")
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "prometheus", "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("127.0.0.1:9644", target, "15s", "1s", "barnabas.rules.yml", filepath.Join(root(t), "docs", "prometheus", "barnabas.rules.yml")).Replace(string(text))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", log.String())
		}
	})
	p := prometheus{"http://" + addr}
	await(t, "prometheus has scraped the broker", func() error {
		n, err := p.series(`up{job="barnabas"} == 1`)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d series", n)
		}
		return err
	})
	return p
}

// await asks until there is no error, for a minute.
func await(t *testing.T, what string, ask func() error) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond) // between two questions
	}
}

// traffic makes what a broker sees on an ordinary day, until the test ends: records, a group whose second member comes and goes, a refused request.
func traffic(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	client := func(opts ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr))...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	admin := client()
	if _, err := kadm.NewClient(admin).CreateTopic(ctx, 4, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 3)
	go func() {
		defer func() { done <- struct{}{} }()
		defer admin.Close()
		for ctx.Err() == nil {
			admin.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("order")})
			// Deleting a topic that does not exist is refused.
			kadm.NewClient(admin).DeleteTopics(ctx, "nothing")
			sleep(ctx, 50*time.Millisecond)
		}
	}()
	member := func(life time.Duration) {
		defer func() { done <- struct{}{} }()
		for ctx.Err() == nil {
			c := client(kgo.ConsumerGroup("shop"), kgo.ConsumeTopics("orders"), kgo.AutoCommitInterval(200*time.Millisecond), kgo.HeartbeatInterval(200*time.Millisecond))
			lived, end := context.WithTimeout(ctx, life)
			for lived.Err() == nil {
				c.PollFetches(lived)
			}
			end()
			c.Close()
			sleep(ctx, 300*time.Millisecond)
		}
	}
	go member(time.Hour)
	go member(2 * time.Second)
	t.Cleanup(func() {
		cancel()
		for range 3 {
			<-done
		}
	})
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// dashboard is what of a Grafana dashboard the test reads.
type dashboard struct {
	Templating struct {
		List []struct {
			Name  string
			Query json.RawMessage
		}
	}
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr string }
	}
}

// TestDashboardAndRulesOverALiveBroker: every query of the dashboard gives data, every variable has values, every rule is evaluated without a fault.
func TestDashboardAndRulesOverALiveBroker(t *testing.T) {
	b := rig.StartT(t, rig.Barnabas, rig.Options{})
	traffic(t, b.Addr)
	p := startPrometheus(t, b.AdminAddr())

	text, err := os.ReadFile(filepath.Join(root(t), "docs", "grafana", "barnabas.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	queries := map[string]string{}
	for _, panel := range d.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries[panel.Title+": "+target.Expr] = strings.NewReplacer("$instance", ".*", "$group", ".*", "$__rate_interval", "10s").Replace(target.Expr)
		}
	}
	if len(queries) < 20 {
		t.Fatalf("found %d queries only", len(queries))
	}
	for name, expr := range queries {
		await(t, name, func() error {
			n, err := p.series(expr)
			if err == nil && n == 0 {
				err = fmt.Errorf("no data for %s", expr)
			}
			return err
		})
	}
	t.Logf("%d queries give data", len(queries))

	for _, v := range d.Templating.List {
		var q struct{ Query string }
		if json.Unmarshal(v.Query, &q) != nil || q.Query == "" {
			continue // the data source
		}
		metric, label, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(q.Query, "label_values("), ")"), ", ")
		var values struct{ Data []string }
		if err := p.get("/api/v1/label/"+label+"/values?"+url.Values{"match[]": {metric}}.Encode(), &values); !ok || err != nil || len(values.Data) == 0 {
			t.Errorf("variable %s has no values: %v", v.Name, err)
		}
	}

	type rules struct {
		Data struct {
			Groups []struct {
				Name  string
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	await(t, "every rule is healthy", func() error {
		var r rules
		if err := p.get("/api/v1/rules", &r); err != nil {
			return err
		}
		n := 0
		for _, g := range r.Data.Groups {
			for _, rule := range g.Rules {
				if rule.Health != "ok" {
					return fmt.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
				}
				n++
			}
		}
		if n < 10 {
			return fmt.Errorf("%d rules only", n)
		}
		return nil
	})
	// The second member comes and goes every two seconds: that is a storm, and the alert says so.
	await(t, "the storm is noticed", func() error {
		n, err := p.series(`ALERTS{alertname="BarnabasRebalanceStorm", alertstate="firing", group="shop"}`)
		if err == nil && n == 0 {
			err = fmt.Errorf("no alert")
		}
		return err
	})
	if n, err := p.series(`ALERTS{alertname=~"BarnabasDown|BarnabasNotReady|BarnabasLogDirectoryOffline|BarnabasPartitionsWithoutLeader", alertstate="firing"}`); err != nil || n != 0 {
		t.Errorf("%d alerts of a broker that is well, %v", n, err)
	}
}
