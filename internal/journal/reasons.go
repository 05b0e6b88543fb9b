package journal

import "strings"

// What clients say when they join or leave (KIP-800). The texts are those that go over the wire; each client library has its own. A text
// that is not here is an application's or an administrator's, and is shown as it is.

// reasonOf is what a reason means.
type reasonOf struct {
	text  string // how the reason begins; matched without regard to case
	cause Cause  // "": it names no cause, it only follows somebody else
}

var joinReasons = []reasonOf{
	// Java.
	{"need to re-join with the given member-id", Unknown}, // the second step of any first join (KIP-394)
	{"group is already rebalancing", Unknown},
	{"cached metadata has changed", PartitionCount},
	{"subscription has changed", SubscriptionChange},
	{"need to revoke partitions and re-join", CooperativeRound},
	{"received assignment does not match the current subscription", FailedRebalance},
	{"rebalance failed due to", FailedRebalance},
	{"encountered illegal_generation from offset_commit", RejectedCommit}, // its heartbeats had not been told yet
	{"encountered unknown_member_id from offset_commit", RejectedCommit},
	{"encountered ", FailedRebalance}, // any other error, from any other API
	{"offset commit failed since group is already rebalancing", RejectedCommit},
	{"rebalance enforced by user", LeaderRejoin},
	// Connect and Streams.
	{"connect worker requested rejoin", LeaderRejoin},
	{"triggered followup rebalance scheduled for", LeaderRejoin},
	{"active tasks corrupted", FailedRebalance},
	{"shutdown requested", LeaderRejoin},
	{"taking too long to read the log", FailedRebalance},
	// franz-go.
	{"beginning to manage the group lifecycle", Unknown},
	{"rejoining from normal rebalance", Unknown},
	{"after revoking what we lost from a rebalance", CooperativeRound},
	{"rejoining after we revoked what we lost", CooperativeRound},
	{"rejoining because there are more topics to consume", SubscriptionChange},
	{"rejoining because we are the leader and noticed some topics have new partitions", PartitionCount},
	{"leader detected that partitions on topics another member is consuming have changed", PartitionCount},
	{"rejoining after we previously errored and backed off", FailedRebalance},
	{"offset commit error", RejectedCommit},
	{"from forcerebalance", LeaderRejoin},
	// sarama.
	{"group is rebalancing", Unknown},
	{"member id is not known by the group coordinator", Unknown},
	{"generation id is not current", Unknown},
	{"group instance id has been fenced", InstanceFenced},
	{"partitions were added to a subscribed topic", PartitionCount},
	{"a consumeclaim handler has exited", LeaderRejoin},
	{"the heartbeat goroutine has stopped", FailedRebalance},
}

var leaveReasons = []reasonOf{
	{"the consumer is being closed", GracefulClose},
	{"client leaving group per normal operation", GracefulClose},
	{"consumer poll timeout has expired", PollInterval},
	{"worker poll timeout has expired", PollInterval},
	{"taking too long to read the log", PollInterval},
	{"the consumer unsubscribed from all topics", Unsubscribed},
	{"member was removed by an admin", AdminRemoval},
}

// reasonCause is what a reason means; known is false for a text that no client library of ours sends.
func reasonCause(table []reasonOf, reason string) (cause Cause, known bool) {
	lower := strings.ToLower(strings.TrimSpace(reason))
	for _, r := range table {
		if strings.HasPrefix(lower, r.text) {
			return r.cause, true
		}
	}
	return Unknown, false
}

// JoinReason is the cause that a client names when it joins with this reason. known is false for a text that no client library sends;
// a known reason may still name no cause, such as "group is already rebalancing".
func JoinReason(reason string) (cause Cause, known bool) { return reasonCause(joinReasons, reason) }

// LeaveReason is the same of a client that leaves.
func LeaveReason(reason string) (cause Cause, known bool) { return reasonCause(leaveReasons, reason) }
