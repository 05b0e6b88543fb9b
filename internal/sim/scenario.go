package sim

import "time"

// Scenario is what one run is about. Its fields are declared once, here: names, defaults, bounds and words for the file, its schema, its
// errors, `--set` and the documents are all taken from these tags (fields.go).
type Scenario struct {
	Name         string      `yaml:"name" doc:"What the scenario is called; nothing for its file's name."`
	About        string      `yaml:"about" doc:"The question it answers, in a sentence or two."`
	Duration     Span        `yaml:"duration" default:"5m" min:"1s" max:"744h" doc:"How long to look, from time zero. Members come together before."`
	Warmup       Span        `yaml:"warmup" default:"10s" min:"0s" max:"1h" doc:"Time between the moment when everybody has what is theirs, and time zero."`
	WarmupSpread Span        `yaml:"warmup.spread" default:"5m" min:"0s" max:"1h" doc:"A random part of the warm-up, up to this long, so that events do not always fall on the same beat of a heartbeat."`
	Seed         int64       `yaml:"seed" default:"1" min:"0" max:"9007199254740991" doc:"The first seed; one seed is one run, to the byte."`
	Topics       []Topic     `yaml:"topics" doc:"What is read; one topic of the defaults if there is no list."`
	Members      []Members   `yaml:"members" doc:"Who reads it: processes with their consumers and settings; one fleet of the defaults if there is no list."`
	Network      Network     `yaml:"network" doc:"The way between members and coordinator."`
	Coordinator  Coordinator `yaml:"coordinator" doc:"Settings of the broker."`
	Events       []Event     `yaml:"events" doc:"What happens, and when. Times count from time zero."`
	Compare      []Variant   `yaml:"compare" doc:"What --compare runs side by side; empty for the four assignors and static membership."`

	lines map[string]int // where a field stands in its file, by path
	file  string
	heals bool // at its end the group must be at rest
}

// Topic is a topic and the records in it.
type Topic struct {
	Name       string `yaml:"name" default:"orders" doc:"The topic."`
	Partitions int64  `yaml:"partitions" default:"12" min:"1" max:"100000" doc:"How many partitions it has at the start."`
	Rate       Rate   `yaml:"rate" default:"100" min:"0" max:"1000000" doc:"Records that are produced to each partition, a second; decimals are fine."`
	Backlog    int64  `yaml:"backlog" default:"0" min:"0" max:"1000000000000" doc:"Records that lie in each partition before anybody reads."`
	Keys       int64  `yaml:"keys" default:"1000" min:"1" max:"100000" doc:"Distinct keys of each partition; they take turns."`
}

// Members is a fleet of alike processes.
type Members struct {
	Name      string   `yaml:"name" default:"c" doc:"What they are called: with count 3, c1 to c3, with 12, c01 to c12, of which an event may call the second c2."`
	Count     int64    `yaml:"count" default:"3" min:"1" max:"20000" doc:"How many processes."`
	Consumers int64    `yaml:"consumers" default:"1" min:"1" max:"1000" doc:"Consumers in each process; of process c1 with two they are c1-1 and c1-2."`
	Topics    []string `yaml:"topics" doc:"What they subscribe to; nothing for all topics."`
	Started   bool     `yaml:"started" default:"true" doc:"Whether they run before time zero. If not, an event starts them."`
	Client    string   `yaml:"client" default:"java" oneof:"java librdkafka poll-heartbeat" doc:"java: a heartbeat thread, work between polls. librdkafka: a heartbeat that keeps its own beat, records one at a time, commits by the clock. poll-heartbeat: heartbeats from poll only, as clients of old and some small ones do; the session timeout is the rebalance timeout."`
	Protocol  string   `yaml:"group.protocol" default:"classic" oneof:"classic" doc:"The group protocol. KIP-848's consumer and share groups are not simulated yet."`
	Assignors []string `yaml:"partition.assignment.strategy" default:"cooperative-sticky" oneof:"cooperative-sticky sticky range roundrobin" doc:"Assignors by name, the one liked most first."`
	Static    bool     `yaml:"static" default:"false" doc:"Static membership: group.instance.id is the member's name."`

	SessionTimeout  Millis `yaml:"session.timeout.ms" default:"45000" min:"100" max:"86400000" doc:"As in Kafka."`
	Heartbeat       Millis `yaml:"heartbeat.interval.ms" default:"3000" min:"10" max:"3600000" doc:"As in Kafka."`
	MaxPollInterval Millis `yaml:"max.poll.interval.ms" default:"300000" min:"100" max:"86400000" doc:"As in Kafka; also the rebalance timeout."`
	MaxPollRecords  int64  `yaml:"max.poll.records" default:"500" min:"1" max:"1000000" doc:"As in Kafka."`
	RetryBackoff    Millis `yaml:"retry.backoff.ms" default:"100" min:"0" max:"60000" doc:"As in Kafka; also how often the heartbeat thread looks at the clock, so heartbeats are late by up to this."`
	RequestTimeout  Millis `yaml:"request.timeout.ms" default:"30000" min:"100" max:"3600000" doc:"As in Kafka."`
	MetadataMaxAge  Millis `yaml:"metadata.max.age.ms" default:"300000" min:"100" max:"86400000" doc:"As in Kafka: how long until a leader sees new partitions, at most."`
	AutoCommitEvery Millis `yaml:"auto.commit.interval.ms" default:"5000" min:"10" max:"3600000" doc:"As in Kafka, for commit: auto."`

	Commit          string `yaml:"commit" default:"auto" oneof:"auto batch record" doc:"auto: enable.auto.commit. batch: after the records of each poll, and waited for. record: after each record."`
	CommitOnRevoke  bool   `yaml:"commit.on.revoke" default:"true" doc:"Whether the application commits in onPartitionsRevoked."`
	OnCommitFailure string `yaml:"on.commit.failure" default:"ignore" oneof:"ignore stop" doc:"With commit: record. ignore: work on the batch goes on. stop: the rest of the batch is dropped."`

	Processing  Work  `yaml:"processing.time" default:"1ms" doc:"Work on one record: a time, or uniform(1ms, 5ms), or exponential(2ms)."`
	FlushEvery  Span  `yaml:"flush.every" default:"0s" min:"0s" max:"1h" doc:"If set, the application comes back to poll only at the beats of a clock of its own with this period, like a sink that writes every 10 s; processing.time does not count then. At least 10ms."`
	PoisonEvery int64 `yaml:"poison.every" default:"0" min:"0" max:"1000000000000" doc:"Every so many records of a partition one takes poison.time; 0 for none."`
	PoisonTime  Span  `yaml:"poison.time" default:"1m" min:"0s" max:"24h" doc:"Work on a poison record."`
	AssignTime  Span  `yaml:"assign.time" default:"0s" min:"0s" max:"10m" doc:"How long the leader computes."`
}

// Network is the path between each member and the coordinator.
type Network struct {
	Latency Span `yaml:"latency" default:"1ms" min:"0s" max:"1m" doc:"One way, of each message."`
	Jitter  Span `yaml:"jitter" default:"0s" min:"0s" max:"10m" doc:"Added to it, uniformly up to this; messages of a connection do not overtake each other."`
	Loss    Rate `yaml:"loss" default:"0" min:"0" max:"0.9" doc:"The share of messages that are lost; they come 200 ms later, 400 ms if lost again, and so on, as with TCP."`
}

// Coordinator is the broker's side.
type Coordinator struct {
	InitialDelay Millis `yaml:"group.initial.rebalance.delay.ms" default:"3000" min:"0" max:"600000" doc:"As in Kafka."`
	SessionMin   Millis `yaml:"group.min.session.timeout.ms" default:"6000" min:"1" max:"86400000" doc:"As in Kafka."`
	SessionMax   Millis `yaml:"group.max.session.timeout.ms" default:"1800000" min:"1" max:"86400000" doc:"As in Kafka."`
	SizeMax      int64  `yaml:"group.max.size" default:"2147483647" min:"1" max:"2147483647" doc:"As in Kafka."`
	PromptNotice bool   `yaml:"group.prompt.notice.enable" default:"false" doc:"Whether the answers to heartbeats are held back to tell of a rebalance the moment it begins, as Barnabas does: of java for up to 5 s, of librdkafka for 2.5 s; and of java those to SyncGroups of members without partitions, while a second round must follow. Off, the timing is Kafka's."`
	AppendTime   Span   `yaml:"append.time" default:"1ms" min:"0s" max:"1m" doc:"How long the log takes until a write of the coordinator is committed."`
}

// Event is one line of the timeline.
type Event struct {
	At     Span   `yaml:"at" default:"0s" min:"0s" max:"744h" doc:"When, from time zero."`
	When   string `yaml:"when" doc:"Instead of a time: \"c2 revokes\", \"c2 joins\" or \"c2 learns\": as soon as that member has given partitions up, has sent its JoinGroup, or hears of a rebalance; not before at."`
	Do     string `yaml:"do" need:"true" oneof:"start close crash restart rolling pause cut slow add-partitions coordinator-restart" doc:"What happens; it has to be said. start: processes start. close: they shut down in order. crash: they die. restart: close (or crash, see how) and start again after down. rolling: restart one after another. pause: all threads stand still, as in a garbage collection. cut: the network holds their messages. slow: processing takes factor times as long. add-partitions: a topic grows. coordinator-restart: the broker goes, and comes back after down."`
	Member string `yaml:"member" doc:"Whom it happens to: a consumer, a process, or the name of a fleet for all of it; all for everybody who is up, or with start for everybody who is not."`
	Down   Span   `yaml:"down" default:"10s" min:"0s" max:"24h" doc:"restart, rolling, coordinator-restart: time between stop and start."`
	How    string `yaml:"how" default:"close" oneof:"close crash" doc:"restart, rolling: how they stop."`
	For    Span   `yaml:"for" default:"10s" min:"0s" max:"744h" doc:"pause, cut, slow: how long."`
	Pause  Span   `yaml:"pause" default:"20s" min:"0s" max:"24h" doc:"rolling, start: time between one and the next."`
	Jitter Span   `yaml:"jitter" default:"0s" min:"0s" max:"1h" doc:"rolling, start: a random part of that time, up to this."`
	Path   string `yaml:"path" default:"coordinator" oneof:"coordinator all" doc:"cut: what is cut: the way to the coordinator, or that and the way to the records too."`
	Asks   string `yaml:"requests" default:"all" oneof:"all heartbeats" doc:"cut: which requests to the coordinator are cut: all, or heartbeats alone, as of a client whose heartbeat thread gets no turn while its application goes on. A commit counts as a heartbeat, so such a member lives as long as it commits within its session."`
	Mode   string `yaml:"mode" default:"hold" oneof:"hold drop" doc:"cut: hold keeps messages until the network is back; drop loses them, and connections time out."`
	Factor int64  `yaml:"factor" default:"10" min:"1" max:"1000000" doc:"slow: how many times slower."`
	Topic  string `yaml:"topic" doc:"add-partitions: the topic; nothing for the first."`
	To     int64  `yaml:"to" default:"0" min:"0" max:"100000" doc:"add-partitions: how many it has then."`
}

// Variant is one column of a comparison: the scenario with some settings changed.
type Variant struct {
	Name string     `yaml:"name" need:"true" doc:"The head of the column; it has to be said."`
	Set  []Override `yaml:"set" doc:"Settings as --set takes them, name: value."`
}

// Override is one setting to change, as `--set name=value`.
type Override struct{ Name, Value string }

// Span is a duration; in a file "10s", "1m30s", "5ms".
type Span time.Duration

// Millis is a duration that a file gives in whole milliseconds, since its name in Kafka ends so.
type Millis time.Duration

// Rate is a decimal number in millionths.
type Rate int64

// Work is how long a record takes.
type Work struct {
	Kind     workKind
	Min, Max time.Duration // exponential: Min is the mean, and so it is of a constant
}

type workKind uint8

const (
	constant workKind = iota
	uniform
	exponential
)

// mean is the mean.
func (w Work) mean() time.Duration {
	if w.Kind == uniform {
		return (w.Min + w.Max) / 2
	}
	return w.Min
}

// draw is the work on one record.
func (w Work) draw(r *random) time.Duration {
	switch w.Kind {
	case uniform:
		return w.Min + r.within(w.Max-w.Min)
	case exponential:
		return r.exponential(w.Min)
	}
	return w.Min
}

// Limits of a scenario: what a laptop can hold and an hour can finish.
const (
	membersMax    = 20_000
	partitionsMax = 200_000
	keysMax       = 100_000_000 // of all partitions
	fileBytesMax  = 1 << 20
)

// pollHeartbeat is the client that heartbeats from poll.
const pollHeartbeat = "poll-heartbeat"

// everybody is the name that means all members.
const everybody = "all"

// listMax bounds the lists of a file.
var listMax = map[string]int{"topics": 10_000, "members": 1000, "events": 10_000, "compare": 100}
