package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// external is a client in another language: a program that reads one request as JSON from its standard input, does it, and writes one
// answer as JSON to its standard output. The programs lie in interop/java, interop/python and interop/node.
type external struct {
	name  string
	argv  func(root string) ([]string, error)
	lacks map[Feature]string
}

func (x external) Name() string { return x.name }

func (x external) Lacks(f Feature) string {
	return x.lacks[f]
}

type request struct {
	Op         string            `json:"op"`
	Bootstrap  string            `json:"bootstrap"`
	Topic      string            `json:"topic,omitempty"`
	Partitions int               `json:"partitions,omitempty"`
	Configs    map[string]string `json:"configs,omitempty"`
	Produce    *Produce          `json:"produce,omitempty"`
	Consume    *Consume          `json:"consume,omitempty"`
}

type answer struct {
	Error       string       `json:"error"`
	Version     string       `json:"version"`
	Description *Description `json:"description"`
	Records     []Record     `json:"records"`
}

func (x external) call(ctx context.Context, q request) (answer, error) {
	var a answer
	root, err := rig.Root()
	if err != nil {
		return a, err
	}
	argv, err := x.argv(filepath.Join(root, "interop"))
	if err != nil {
		return a, err
	}
	in, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(in, '\n')), &out, &problems
	if err := cmd.Run(); err != nil {
		return a, fmt.Errorf("%s %s: %w: %s", x.name, q.Op, err, lastLines(problems.String()))
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("%s %s: not an answer: %w: %s", x.name, q.Op, err, lastLines(out.String()+problems.String()))
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > 6 {
		lines = lines[len(lines)-6:]
	}
	return strings.Join(lines, "\n")
}

func (x external) Version(ctx context.Context) (string, error) {
	a, err := x.call(ctx, request{Op: "version"})
	return a.Version, err
}

func (x external) CreateTopic(ctx context.Context, addr, topic string, partitions int, configs map[string]string) error {
	_, err := x.call(ctx, request{Op: "create", Bootstrap: addr, Topic: topic, Partitions: partitions, Configs: configs})
	return err
}

func (x external) Describe(ctx context.Context, addr, topic string) (Description, error) {
	a, err := x.call(ctx, request{Op: "describe", Bootstrap: addr, Topic: topic})
	if err != nil {
		return Description{}, err
	}
	if a.Description == nil {
		return Description{}, errors.New(x.name + " answered without a description")
	}
	return *a.Description, nil
}

func (x external) AlterConfig(ctx context.Context, addr, topic, name, value string) error {
	_, err := x.call(ctx, request{Op: "alter", Bootstrap: addr, Topic: topic, Configs: map[string]string{name: value}})
	return err
}

func (x external) Produce(ctx context.Context, addr string, p Produce) error {
	_, err := x.call(ctx, request{Op: "produce", Bootstrap: addr, Produce: &p})
	return err
}

func (x external) Consume(ctx context.Context, addr string, q Consume) ([]Record, error) {
	a, err := x.call(ctx, request{Op: "consume", Bootstrap: addr, Consume: &q})
	return a.Records, err
}

// need is path, or an error that says how to get it.
func need(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not there: run interop/install.sh", path)
	}
	return path, nil
}

func java(folder string) func(string) ([]string, error) {
	return func(root string) ([]string, error) {
		classes, err := need(filepath.Join(root, "java", "target", "classes"))
		if err != nil {
			return nil, err
		}
		jars, err := need(filepath.Join(root, "java", "target", folder))
		if err != nil {
			return nil, err
		}
		return []string{"java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
			"-cp", classes + string(os.PathListSeparator) + filepath.Join(jars, "*"), "interop.Driver"}, nil
	}
}

// JavaClient is kafka-clients, the newest.
func JavaClient() Client { return external{name: "Java kafka-clients", argv: java("clients")} }

// JavaOldClient is kafka-clients of the last release before 4.0.
func JavaOldClient() Client {
	return external{name: "Java kafka-clients 3.9", argv: java("clients-3.9")}
}

// PythonClient is kafka-python.
func PythonClient() Client {
	return external{name: "kafka-python", argv: func(root string) ([]string, error) {
		python, err := need(filepath.Join(root, "python", ".venv", "bin", "python"))
		if err != nil {
			return nil, err
		}
		return []string{python, filepath.Join(root, "python", "driver.py")}, nil
	}, lacks: map[Feature]string{NullHeader: "kafka-python takes no header without a value"}}
}

// NodeClient is kafkajs.
func NodeClient() Client {
	return external{name: "kafkajs", argv: func(root string) ([]string, error) {
		if _, err := need(filepath.Join(root, "node", "node_modules", "kafkajs")); err != nil {
			return nil, err
		}
		return []string{"node", filepath.Join(root, "node", "driver.js")}, nil
	}, lacks: map[Feature]string{
		"lz4":       "kafkajs has lz4 only through a plug-in that compiles C",
		"zstd":      "kafkajs has zstd only through a plug-in that compiles C",
		NullHeader:  "kafkajs takes no header without a value",
		HeaderOrder: "headers are the fields of an object",
	}}
}
