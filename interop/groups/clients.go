package groups

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/barnabas-mq/barnabas/interop/rig"
)

// Scenario is one story that a group lives through.
type Scenario string

// Scenarios in the order of the matrix. Two members, A and B, and six partitions, unless the story says otherwise.
const (
	Start      Scenario = "start"
	ScaleOut   Scenario = "scale out"
	ScaleIn    Scenario = "scale in"
	KillMember Scenario = "kill -9"
	Paused     Scenario = "paused"
	Slow       Scenario = "slow"
	Static     Scenario = "static restart"
	Grown      Scenario = "partitions added"
	Restart    Scenario = "broker restart"

	Apps Scenario = "one, two, one" // what Kafka Streams and Connect live through
)

// Scenarios in the order of the columns.
var Scenarios = []Scenario{Start, ScaleOut, ScaleIn, KillMember, Paused, Slow, Static, Grown, Restart}

// Meanings of the columns, as the matrix prints them.
var Meanings = map[Scenario]string{
	Start:      "A and B start at the same time; timed from the later one's first JoinGroup to the last assignment",
	ScaleOut:   "A runs, B joins; timed from B's first JoinGroup to the last assignment",
	ScaleIn:    "A and B run, B closes; timed from the request to close to A owning everything",
	KillMember: "A and B run, A, the leader, is killed (SIGKILL); timed from the kill to B owning everything: the session timeout is 6 s",
	Paused:     "B is stopped (SIGSTOP) until its session ran out and A owns everything, then goes on; timed from the stop to A owning everything",
	Slow:       "B takes 10 s over one record, longer than the 7 s of max.poll.interval.ms; timed from the record to A owning everything, for clients that keep such a limit",
	Static:     "B, then A, the leader, close and start again under the same group.instance.id: no generation changes, and the other sees nothing; timed from the first JoinGroup of the leader's return to its assignment",
	Grown:      "the topic gets two more partitions; timed from there to the last assignment, metadata.max.age.ms is 1 s",
	Restart:    "the broker is killed while B's JoinGroup waits, and started again; timed from the broker being ready to the last assignment; later it is asked to stop and started once more, and members that keep their membership over that see nothing of it",
}

// What a client does when the program takes longer over a record than max.poll.interval.ms.
const (
	PollLeaves = "leaves" // it leaves the group
	PollSilent = "silent" // it sends no heartbeats meanwhile, so that its session runs out
	PollKeeps  = "keeps"  // its heartbeats go on: it has no such limit
)

// Known is a client's own failing in some scenarios.
type Known struct {
	Scenarios []Scenario
	Fault     string
	Why       string
}

// Client is one client library with one assignor.
type Client struct {
	Library     string // as in the matrix of the other scenarios
	Assignor    string
	Name        string // the Go members' Config.Client
	Cooperative bool
	JVM         bool
	// Steady: stays a member, without a callback, while its only broker is away for less than a session. Java 4 does not: its leader starts from the
	// bootstrap servers again, with no metadata at first, and takes that for a change of the topic. franz-go gives up after some failed heartbeats.
	Steady bool
	Lost   bool // tells partitions that were lost from those that were revoked
	// Relayed: what it says is read from what it prints, so that the times are those of reading it.
	Relayed bool
	Poll    string // PollLeaves, PollSilent or PollKeeps
	// Known is what this client does against Apache Kafka too and ought not to: a fault that contains Fault becomes a note in the matrix.
	Known []Known
	// Lacks holds the reasons for skips.
	Lacks map[Scenario]string
	// Program is the command line of a member, from the interop folder; nil: this test binary itself.
	Program func(root string) ([]string, error)
}

// Title is how the matrix calls it.
func (c Client) Title() string { return c.Library + ", " + c.Assignor }

// Argv is the command line of a member.
func (c Client) Argv() ([]string, error) {
	if c.Program == nil {
		self, err := os.Executable()
		return []string{self}, err
	}
	root, err := rig.Root()
	if err != nil {
		return nil, err
	}
	return c.Program(filepath.Join(root, "interop"))
}

func installed(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not there: run interop/install.sh", path)
	}
	return path, nil
}

// JavaCommand is a JVM with the classes of interop/java and a folder of jars.
func JavaCommand(root, jars, class string, heapMiB int) ([]string, error) {
	classes, err := installed(filepath.Join(root, "java", "target", "classes", "interop", class+".class"))
	if err != nil {
		return nil, err
	}
	lib, err := installed(filepath.Join(root, "java", "target", jars))
	if err != nil {
		return nil, err
	}
	return []string{"java", fmt.Sprintf("-Xmx%dm", heapMiB), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", filepath.Dir(filepath.Dir(classes)) + string(os.PathListSeparator) + filepath.Join(lib, "*"), "interop." + class}, nil
}

func javaMember(jars string) func(string) ([]string, error) {
	return func(root string) ([]string, error) { return JavaCommand(root, jars, "GroupMember", 128) }
}

func pythonMember(root string) ([]string, error) {
	python, err := installed(filepath.Join(root, "python", ".venv", "bin", "python"))
	return []string{python, filepath.Join(root, "python", "group.py")}, err
}

func nodeMember(root string) ([]string, error) {
	_, err := installed(filepath.Join(root, "node", "node_modules", "kafkajs"))
	return []string{"node", filepath.Join(root, "node", "group.js")}, err
}

// Clients lists the rows of the matrix.
func Clients() []Client {
	var all []Client
	for _, a := range []string{"range", "roundrobin", "sticky", "cooperative"} {
		all = append(all, Client{Library: "Java kafka-clients", Assignor: a, Cooperative: a == "cooperative", JVM: true, Lost: true, Poll: PollLeaves, Program: javaMember("clients")})
	}
	all = append(all, Client{Library: "Java kafka-clients 3.9", Assignor: "cooperative", Cooperative: true, JVM: true, Steady: true, Lost: true, Poll: PollLeaves, Program: javaMember("clients-3.9")})
	if _, ok := goMembers["confluent"]; ok {
		for _, a := range []string{"range", "cooperative"} {
			all = append(all, Client{Library: "confluent-kafka-go", Name: "confluent", Assignor: a, Cooperative: a == "cooperative", Steady: true, Lost: true, Poll: PollLeaves})
		}
	}
	all = append(all, Client{Library: "kcat", Name: "kcat", Assignor: "range", Steady: true, Relayed: true, Poll: PollLeaves, Lacks: map[Scenario]string{
		Slow: "kcat prints records as they come and cannot be told to take its time over one"}, Known: []Known{
		{[]Scenario{ScaleIn, Static}, "is lost", "kcat takes records in batches: asked to stop in the middle of one, it commits all of it and prints no more"}}})
	for _, a := range []string{"range", "cooperative"} {
		all = append(all, Client{Library: "franz-go", Name: "franz", Assignor: a, Cooperative: a == "cooperative", Lost: true, Poll: PollKeeps, Known: []Known{
			{[]Scenario{Static}, "by restarts of static members", "franz-go's leader asks for one rebalance when it comes back, though it was told to skip the assignment; nothing moves"}}})
	}
	noStatic := func(name string) map[Scenario]string {
		return map[Scenario]string{Static: name + " has no static membership"}
	}
	const pythonStops = "when the topic's partitions change, kafka-python's leader now and then stops for good after its SyncGroup was answered: no heartbeat, no fetch"
	python := Client{Library: "kafka-python", Lost: true, Poll: PollLeaves, Program: pythonMember, Known: []Known{{[]Scenario{Grown}, "waiting for all partitions owned by A and B", pythonStops}}}
	python.Assignor = "range"
	all = append(all, python)
	python.Assignor, python.Cooperative = "cooperative", true
	python.Known = append(python.Known[:1:1],
		Known{[]Scenario{Paused, Slow}, "while A owned it", "kafka-python's cooperative assignor gives a member that comes back what it had before, while another still owns it"},
		Known{[]Scenario{Paused, Slow}, "are revoked, want", "kafka-python's cooperative members are now and then told that partitions are revoked that they have lost"},
		Known{[]Scenario{Restart}, "waiting for all partitions owned", "kafka-python's cooperative assignor leaves out partitions that a member lost: after a restart that took longer than the sessions nobody owns them"})
	all = append(all, python)
	return append(all,
		Client{Library: "sarama", Name: "sarama", Assignor: "range", Poll: PollKeeps},
		Client{Library: "sarama", Name: "sarama", Assignor: "sticky", Poll: PollKeeps},
		Client{Library: "segmentio/kafka-go", Name: "kafkago", Assignor: "range", Poll: PollKeeps, Lacks: noStatic("kafka-go")},
		Client{Library: "kafkajs", Assignor: "roundrobin", Lost: true, Poll: PollSilent, Program: nodeMember, Lacks: noStatic("kafkajs"), Known: []Known{
			{[]Scenario{Restart}, "owned it", "kafkajs does not tell that a membership is lost before it has joined again, which after a restart that took longer than the sessions is too late"}}},
	)
}

// OldJava are releases of the Java client that only long runs have (interop/install.sh old): the oldest whose heartbeats may be held, and one in between.
func OldJava() []Client {
	var all []Client
	for _, release := range []string{"2.4", "2.8"} {
		all = append(all, Client{Library: "Java kafka-clients " + release, Assignor: "range", JVM: true, Steady: true, Lost: true, Poll: PollLeaves,
			Program: javaMember(filepath.Join("..", "old", "target", "clients-"+release))})
	}
	return all
}
