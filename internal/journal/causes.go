package journal

// Cause is why a group rebalanced, or why it did not where one would have expected it: C01 to C23. "" is "not known".
type Cause string

// The causes. Their numbers are fixed: they are in records that people keep.
const (
	Unknown            Cause = ""
	FirstStart         Cause = "C01"
	ScaleUp            Cause = "C02"
	RollingRestart     Cause = "C03"
	GracefulClose      Cause = "C04"
	Unsubscribed       Cause = "C05"
	SessionTimeout     Cause = "C06"
	PollInterval       Cause = "C07"
	LateToRejoin       Cause = "C08"
	LateToSync         Cause = "C09"
	StaticReturned     Cause = "C10"
	InstanceFenced     Cause = "C11"
	SubscriptionChange Cause = "C12"
	PartitionCount     Cause = "C13"
	TopicSet           Cause = "C14"
	AssignorChange     Cause = "C15"
	LeaderRejoin       Cause = "C16"
	CoordinatorMoved   Cause = "C17"
	CooperativeRound   Cause = "C18"
	FailedRebalance    Cause = "C19"
	RejectedCommit     Cause = "C20"
	AdminRemoval       Cause = "C21"
	BrokerPolicy       Cause = "C22"
	ProtocolMigration  Cause = "C23"
)

// CauseInfo is what there is to say of a cause as such.
type CauseInfo struct {
	Cause Cause
	// Slug is a word for labels of metrics and for commands: lower case, with underscores.
	Slug string
	// Title names the cause in a table: a few words, no full stop.
	Title string
	// Meaning is one sentence for somebody who has never seen it.
	Meaning string
	// Measured is what a broker can measure of it: the facts that carry the verdict.
	Measured string
	// Ask is what only the application's side can tell; "" if nothing is missing.
	Ask string
}

// Info is what there is to say of the cause. Of one that is not in the table it is what there is to say of Unknown.
func (c Cause) Info() CauseInfo {
	for _, i := range causes {
		if i.Cause == c {
			return i
		}
	}
	return causes[len(causes)-1]
}

// Title names the cause.
func (c Cause) Title() string { return c.Info().Title }

// Slug is the cause as a label of a metric: "session_timeout".
func (c Cause) Slug() string { return c.Info().Slug }

// Known reports whether the cause is one of C01 to C23.
func (c Cause) Known() bool { return c != Unknown && c.Info().Cause == c }

// Causes is the table, C01 first, Unknown last.
func Causes() []CauseInfo { return append([]CauseInfo(nil), causes...) }

var causes = []CauseInfo{
	{FirstStart, "first_start", "first start",
		"The group had no members, and its first ones came.",
		"The group was Empty; how many members were there when the wait ended, and how many came later.", ""},
	{ScaleUp, "scale_up", "a member was added",
		"A client joined that the group did not know.",
		"The new member's id, client id and host; members and partitions before and after.", "who scaled, and why: an autoscaler's log, a deployment"},
	{RollingRestart, "rolling_restart", "a member was restarted",
		"A member went away and the same client came back under a new id: a deployment, a node drain, a crash loop.",
		"The departure and the return of one client id and host; the time in between.", "the deployment's events; exit codes"},
	{GracefulClose, "closed", "a member closed",
		"A client closed its consumer and said so.",
		"LeaveGroup, the reason the client gave, and that it did not come back.", ""},
	{Unsubscribed, "unsubscribed", "a member unsubscribed",
		"The application unsubscribed: the client left the group and stayed connected.",
		"LeaveGroup, the reason the client gave, and whether the same client joined again.", "who stops and starts the listener"},
	{SessionTimeout, "session_timeout", "a member went silent",
		"No heartbeat came for the session timeout, so the member was given up.",
		"How long it was silent, whether its connection was open, whether it fetched, whether it came back.",
		"GC pauses, CPU throttling of the container, exit codes, node events"},
	{PollInterval, "poll_interval", "a batch took longer than max.poll.interval.ms",
		"The application did not poll in time, so its client left the group in its place, alive and heartbeating.",
		"Heartbeats in time until it left; the reason the client gave; how long it neither fetched nor committed; whether it came back.",
		"time per record, records per poll"},
	{LateToRejoin, "late_to_rejoin", "a member did not rejoin in time",
		"A rebalance was under way and a member did not come back for it within the rebalance timeout, so everybody waited and it was put out.",
		"When each member arrived; how long everybody waited for the last.", "how long a batch takes, and what the revocation callback does"},
	{LateToSync, "late_to_sync", "the assignment was not asked for or handed in",
		"All had joined, and then the leader did not hand in an assignment, or members did not ask for theirs.",
		"Who led; the time from the end of the join phase to the leader's SyncGroup; who never asked.", "the leader's CPU and log at that time"},
	{StaticReturned, "static_returned", "a static member came back",
		"A client came back under the group.instance.id it had, and took its seat.",
		"How long it was away, of which session; whether anybody else noticed.", ""},
	{InstanceFenced, "instance_fenced", "two clients have one group.instance.id",
		"A second client joined under a group.instance.id that was in use; the first was shut out.",
		"Both clients' hosts, and how often the seat changed hands.", "how group.instance.id is made"},
	{SubscriptionChange, "subscription_change", "a member subscribed to other topics",
		"A member joined again with another list of topics.",
		"The list before and after.", ""},
	{PartitionCount, "partitions_added", "a topic got more partitions",
		"The leader saw that a topic had more partitions than were assigned.",
		"The number of partitions that there are, and that were assigned.", "who added them"},
	{TopicSet, "topics_changed", "a topic appeared or disappeared",
		"The set of topics that the group reads changed: one was created or deleted.",
		"Which topics.", "who created or deleted them"},
	{AssignorChange, "assignor_change", "a member changed its assignor",
		"A member named other assignors than before, or none that the others know.",
		"Every member's list, and what all have in common.", ""},
	{LeaderRejoin, "leader_rejoin", "the leader asked for a rebalance",
		"The leader joined again although nothing had changed that a broker can see.",
		"The leader's reason; whether any partition moved.", "whether the application enforces rebalances"},
	{CoordinatorMoved, "coordinator", "the coordinator moved or restarted",
		"The group's coordinator was loaded anew. That alone keeps the generation; members that could not reach it in time lose their seats.",
		"When it was loaded; the generation before and after; who was refused afterwards.", ""},
	{CooperativeRound, "cooperative_round", "second round of a cooperative rebalance",
		"Partitions that were taken from one member in the first round were given to another in the second. It is how the protocol works.",
		"Which partitions were held back, and for how long nobody had them.", ""},
	{FailedRebalance, "failed_rebalance", "a member's rebalance failed and was tried again",
		"A client could not finish the rebalance and joined again.",
		"The error the client named; which member was first.", "the exception in the client's log"},
	{RejectedCommit, "rejected_commit", "a commit was refused and its client rejoined",
		"A client committed under a membership that was over, was refused, and joined again.",
		"The commit that was refused, and the code.", ""},
	{AdminRemoval, "removed_by_admin", "an administrator removed a member",
		"Somebody other than the member took it out of the group.",
		"LeaveGroup by instance id, with an administrator's reason, or from another client or host than the member's; whose it was.", "who ran it"},
	{BrokerPolicy, "broker_policy", "a limit of the broker",
		"A setting of the broker was in the way: group.max.size, the bounds of session timeouts, the size of a record, retention.",
		"The setting, its value, and who was turned away.", ""},
	{ProtocolMigration, "protocol_migration", "the group changes its protocol",
		"Members of the classic and of the consumer protocol are mixed while the group moves from one to the other.",
		"How many members speak which.", ""},
	{Unknown, "unknown", "not known",
		"The facts do not tell which cause it was.",
		"What there is, is listed.", ""},
}

// Detector is something that only a history shows: D01 to D14.
type Detector string

// The detectors. Their numbers are fixed, as those of the causes are.
const (
	Storm              Detector = "D01"
	FlappingMember     Detector = "D02"
	RestartLoop        Detector = "D03"
	NeverStable        Detector = "D04"
	SlowBatchLivelock  Detector = "D05"
	IdleMembers        Detector = "D06"
	Unbalanced         Detector = "D07"
	HotPartition       Detector = "D08"
	LagByRebalance     Detector = "D09"
	DuplicateWindow    Detector = "D10"
	StuckOwner         Detector = "D11"
	WastedRebalance    Detector = "D12"
	ScalerOscillation  Detector = "D13"
	CorrelatedFailures Detector = "D14"
)

// DetectorInfo is what there is to say of a detector as such.
type DetectorInfo struct {
	Detector Detector
	Slug     string // for labels and commands
	Title    string // a few words, no full stop
	Rule     string // when it fires, with our thresholds
}

// Info is what there is to say of the detector; zero for one that is not in the table.
func (d Detector) Info() DetectorInfo {
	for _, i := range detectors {
		if i.Detector == d {
			return i
		}
	}
	return DetectorInfo{}
}

// Title names the detector.
func (d Detector) Title() string { return d.Info().Title }

// Detectors is the table, D01 first.
func Detectors() []DetectorInfo { return append([]DetectorInfo(nil), detectors...) }

var detectors = []DetectorInfo{
	{Storm, "storm", "rebalance storm", "5 rebalances within 10 minutes, or a fifth of the time spent rebalancing"},
	{FlappingMember, "flapping_member", "one member again and again", "one client id, instance or host triggers 3 rebalances within 30 minutes"},
	{RestartLoop, "restart_loop", "a member starts, gets nowhere and dies", "3 times: joins, then dies or closes, and the next offset of its partitions is what it was"},
	{NeverStable, "never_stable", "the group does not come to rest", "never Stable for longer than twice the rebalance timeout, or a new generation before the last one committed anything"},
	{SlowBatchLivelock, "slow_batch_livelock", "the same batch over and over", "a member exceeds max.poll.interval.ms twice or more and the committed offset is the same each time"},
	{IdleMembers, "idle_members", "members without partitions", "a member has no partitions for more than one generation"},
	{Unbalanced, "unbalanced", "partitions unevenly shared", "the fullest member has more than 1.5 times the mean"},
	{HotPartition, "hot_partition", "one partition holds the lag", "one partition holds more than half of the group's lag"},
	{LagByRebalance, "lag_by_rebalance", "rebalances make the lag", "half or more of the growth in lag falls into rebalances"},
	{DuplicateWindow, "duplicate_window", "records read twice", "records delivered and not committed when their partition was taken away"},
	{StuckOwner, "stuck_owner", "a member holds partitions and does nothing", "heartbeats come, lag grows, and an owned partition sees neither fetch nor commit"},
	{WastedRebalance, "wasted_rebalance", "a rebalance for nothing", "the assignment is what it was, or more than twice the partitions moved than had to"},
	{ScalerOscillation, "scaler_oscillation", "the autoscaler swings", "members are added and removed in turn, with a steady period"},
	{CorrelatedFailures, "correlated_failures", "failures at the same moment", "members of one host, or of several groups, fail within 5 seconds"},
}
