package groups

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

func init() { goMembers["kcat"] = kcatMember }

// kcatMember runs `kcat -G`, librdkafka's balanced consumer on the command line, and turns the lines it prints into events. Records and rebalances come
// through one pipe, so their order is kcat's; their times are those of reading them (see Relayed). kcat commits what it printed by itself, and takes
// its partitions as its rebalance callback says.
func kcatMember(ctx context.Context, cfg Config, m *goMember) error {
	if cfg.Assignor != "range" {
		return unknownAssignor(cfg)
	}
	// kcat prints a record in pieces, and what librdkafka logs on another thread would come between them: so it does not log.
	args := []string{"-b", cfg.Bootstrap, "-G", cfg.Group, "-u", "-E", "-f", "record %p %o %s\n"}
	for k, v := range map[string]any{"client.id": cfg.ClientID, "partition.assignment.strategy": "range", "session.timeout.ms": cfg.SessionMs, "heartbeat.interval.ms": cfg.HeartbeatMs,
		"max.poll.interval.ms": cfg.PollMaxMs, "topic.metadata.refresh.interval.ms": cfg.MetadataMs, "metadata.max.age.ms": 3 * cfg.MetadataMs,
		"log_level": 0, "auto.commit.interval.ms": 200, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 200, "reconnect.backoff.max.ms": 500} {
		args = append(args, "-X", fmt.Sprintf("%s=%v", k, v))
	}
	if cfg.Instance != "" {
		args = append(args, "-X", "group.instance.id="+cfg.Instance)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd := exec.Command("kcat", append(args, cfg.Topic)...) // in this process's group: it is stopped and killed with it
	cmd.Stdout, cmd.Stderr = writer, writer
	runtime.LockOSThread()
	rig.DieWithUs(cmd)
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return fmt.Errorf("kcat: run interop/install.sh: %w", err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })()
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		if e, ok := kcatEvent(lines.Text()); ok {
			m.emit(e)
		} else {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return fmt.Errorf("kcat: %w", err)
	}
	if ctx.Err() == nil {
		return errors.New("kcat ended by itself")
	}
	return nil
}

var (
	kcatRebalance = regexp.MustCompile(`^% Group .* rebalanced \(memberid .*\): (assigned|revoked): (.*)$`)
	kcatPartition = regexp.MustCompile(`\[(\d+)\]`)
)

// kcatEvent reads one line that kcat printed.
func kcatEvent(line string) (Event, bool) {
	if f := strings.SplitN(line, " ", 4); len(f) == 4 && f[0] == "record" {
		p, errP := strconv.ParseInt(f[1], 10, 32)
		o, errO := strconv.ParseInt(f[2], 10, 64)
		return Event{Kind: GotRecord, Partition: int32(p), Offset: o, Value: f[3]}, errP == nil && errO == nil
	}
	if f := kcatRebalance.FindStringSubmatch(line); f != nil {
		e := Event{Kind: f[1]}
		for _, p := range kcatPartition.FindAllStringSubmatch(f[2], -1) {
			n, err := strconv.ParseInt(p[1], 10, 32)
			if err != nil {
				return Event{}, false
			}
			e.Partitions = append(e.Partitions, int32(n))
		}
		return e, e.Kind == Assigned || len(e.Partitions) > 0
	}
	if strings.HasPrefix(line, "% ERROR") {
		return Event{Kind: Trouble, Error: line}, true
	}
	return Event{}, false
}
