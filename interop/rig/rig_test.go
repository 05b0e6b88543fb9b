package rig_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// brokerUnderTest is what INTEROP_BROKER names; the rig itself is proven on whichever is asked for.
func brokerUnderTest(t *testing.T) rig.Kind {
	t.Helper()
	return rig.KindFromEnv(t)
}

func TestABrokerComesBackOnTheSamePortWithItsData(t *testing.T) {
	kind := brokerUnderTest(t)
	b := rig.StartT(t, kind, rig.Options{})
	addr, pid := b.Addr, b.PID()
	for range 5000 { // CPU is counted in hundredths of a second: a broker that has done nothing yet shows none
		if err := rig.Ready(t.Context(), addr); err != nil {
			t.Fatal(err)
		}
		if u, err := b.Usage(); err != nil || u.CPU > 0 {
			break
		}
	}
	if u, err := b.Usage(); err != nil || u.PeakRSS == 0 || u.CPU == 0 {
		t.Errorf("usage = %+v, %v; want non-zero CPU and memory", u, err)
	}
	if err := b.Stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, b.Log(30))
	}
	if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		c.Close()
		t.Fatal("someone still listens after Stop")
	}
	if err := b.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	if b.Addr != addr || b.PID() == pid {
		t.Errorf("address %s, pid %d after restart; before: %s, %d", b.Addr, b.PID(), addr, pid)
	}
	b.Kill()
	if err := b.Restart(context.Background()); err != nil {
		t.Fatalf("restart after kill: %v", err)
	}
}

func TestABrokerThatCannotStartSaysWhy(t *testing.T) {
	kind := brokerUnderTest(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := rig.Start(ctx, kind, rig.Options{Properties: map[string]string{"log.retention.check.interval.ms": "soon"}})
	if err == nil {
		t.Fatal("a broker started with log.retention.check.interval.ms=soon")
	}
	if !strings.Contains(err.Error(), "log.retention.check.interval.ms") {
		t.Errorf("the error does not carry the broker's own words: %v", err)
	}
}

func TestKafkaToolsRun(t *testing.T) {
	rig.NeedKafkaJars(t)
	b := rig.StartT(t, brokerUnderTest(t), rig.Options{})
	out, err := rig.RunJava(t.Context(), nil, rig.ToolTopics, "--bootstrap-server", b.Addr, "--create", "--topic", "t", "--partitions", "3")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = rig.RunJava(t.Context(), nil, rig.ToolTopics, "--bootstrap-server", b.Addr, "--describe", "--topic", "t")
	if err != nil || !strings.Contains(out, "PartitionCount: 3") {
		t.Errorf("describe: %v\n%s", err, out)
	}
	if _, err := os.Stat(b.DataDir() + "/t-2"); err != nil {
		t.Errorf("the third partition's folder: %v", err)
	}
}
