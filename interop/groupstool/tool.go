package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// logging sends what the tool warns of to its stderr, and nothing of the clients, whose threads live on between two commands.
const logging = `status = off
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.follow = true
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %p %m%n
rootLogger.level = off
logger.tools.name = org.apache.kafka.tools
logger.tools.level = warn
logger.tools.appenderRef.err.ref = err
`

// Tool is the JVM that runs kafka-consumer-groups.sh and the consumers whose groups it looks at (Tool.java). One command at a time.
type Tool struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	dir string
}

// Output is what one run of the tool left.
type Output struct {
	Exit int    `json:"exit"`
	Out  string `json:"out"`
	Err  string `json:"err"`
}

// StartTool runs the JVM; ctx ends it, as does the end of this process, since it ends with its input.
func StartTool(ctx context.Context) (*Tool, error) {
	jars, err := rig.KafkaJars()
	if err != nil {
		return nil, err
	}
	root, err := rig.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "groupstool-")
	if err != nil {
		return nil, err
	}
	logs := filepath.Join(dir, "log4j2.properties")
	if err := os.WriteFile(logs, []byte(logging), 0o600); err != nil {
		return nil, err
	}
	t := &Tool{dir: dir}
	t.cmd = exec.CommandContext(ctx, "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dfile.encoding=UTF-8",
		"-Dlog4j2.configurationFile="+logs, "-cp", filepath.Join(jars, "*"), filepath.Join(root, "interop", "groupstool", "Tool.java"))
	t.cmd.Stderr = os.Stderr
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReader(out)
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the JVM of the tool: %w", err)
	}
	return t, nil
}

// Close ends the JVM and its consumers.
func (t *Tool) Close() error {
	_ = t.in.Close()
	err := t.cmd.Wait()
	_ = os.RemoveAll(t.dir)
	return err
}

// do sends one command and waits for its result.
func (t *Tool) do(command map[string]any) (Output, error) {
	var out Output
	line, err := json.Marshal(command)
	if err != nil {
		return out, err
	}
	if _, err := t.in.Write(append(line, '\n')); err != nil {
		return out, fmt.Errorf("the JVM of the tool is gone: %w", err)
	}
	answer, err := t.out.ReadBytes('\n')
	if err != nil {
		return out, fmt.Errorf("the JVM of the tool is gone: %w", err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("answer %q: %w", answer, err)
	}
	if out.Exit < 0 {
		return out, fmt.Errorf("%v: %s", command, out.Err)
	}
	return out, nil
}

// Run is one run of kafka-consumer-groups.sh.
func (t *Tool) Run(args ...string) (Output, error) {
	return t.do(map[string]any{"do": "tool", "args": args})
}

// Member is a Java consumer.
type Member struct {
	Name, Group, Instance, Protocol string
	Topics                          []string         // none: the commit is made without joining
	Owns                            int              // partitions that it waits for
	Commit                          map[string]int64 // by topic-partition
	WithEpoch                       bool             // commits leader epoch 0 and some metadata, too
}

// Join starts a consumer and returns when it owns what it is to own and has committed.
func (t *Tool) Join(addr string, m Member) error {
	c := map[string]any{"do": "join", "bootstrap": addr, "name": m.Name, "group": m.Group, "owns": m.Owns}
	if m.Instance != "" {
		c["instance"] = m.Instance
	}
	if m.Protocol != "" {
		c["protocol"] = m.Protocol
	}
	if m.Topics != nil {
		c["topics"] = m.Topics
	}
	if m.Commit != nil {
		c["commit"] = m.Commit
	}
	if m.WithEpoch {
		c["epoch"] = 0
	}
	_, err := t.do(c)
	return err
}

// Leave closes a consumer.
func (t *Tool) Leave(name string) error {
	_, err := t.do(map[string]any{"do": "leave", "name": name})
	return err
}

func (t *Tool) leaveAll() error {
	_, err := t.do(map[string]any{"do": "leave-all"})
	return err
}

// Remove removes members by the Java Admin client: the instances, or all without any.
func (t *Tool) Remove(addr, group, reason string, instances ...string) (Output, error) {
	c := map[string]any{"do": "remove", "bootstrap": addr, "group": group}
	if reason != "" {
		c["reason"] = reason
	}
	if len(instances) > 0 {
		c["instances"] = instances
	}
	return t.do(c)
}
