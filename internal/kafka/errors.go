package kafka

import "strconv"

// ErrorCode is what a client hears: Kafka's error codes by their wire number. None (0) is success.
type ErrorCode int16

// The codes, in the order of their numbers.
const (
	UnknownServerError                 ErrorCode = -1
	None                               ErrorCode = 0
	OffsetOutOfRange                   ErrorCode = 1
	CorruptMessage                     ErrorCode = 2
	UnknownTopicOrPartition            ErrorCode = 3
	InvalidFetchSize                   ErrorCode = 4
	LeaderNotAvailable                 ErrorCode = 5
	NotLeaderOrFollower                ErrorCode = 6
	RequestTimedOut                    ErrorCode = 7
	BrokerNotAvailable                 ErrorCode = 8
	ReplicaNotAvailable                ErrorCode = 9
	MessageTooLarge                    ErrorCode = 10
	StaleControllerEpoch               ErrorCode = 11
	OffsetMetadataTooLarge             ErrorCode = 12
	NetworkException                   ErrorCode = 13
	CoordinatorLoadInProgress          ErrorCode = 14
	CoordinatorNotAvailable            ErrorCode = 15
	NotCoordinator                     ErrorCode = 16
	InvalidTopicException              ErrorCode = 17
	RecordListTooLarge                 ErrorCode = 18
	NotEnoughReplicas                  ErrorCode = 19
	NotEnoughReplicasAfterAppend       ErrorCode = 20
	InvalidRequiredAcks                ErrorCode = 21
	IllegalGeneration                  ErrorCode = 22
	InconsistentGroupProtocol          ErrorCode = 23
	InvalidGroupID                     ErrorCode = 24
	UnknownMemberID                    ErrorCode = 25
	InvalidSessionTimeout              ErrorCode = 26
	RebalanceInProgress                ErrorCode = 27
	InvalidCommitOffsetSize            ErrorCode = 28
	TopicAuthorizationFailed           ErrorCode = 29
	GroupAuthorizationFailed           ErrorCode = 30
	ClusterAuthorizationFailed         ErrorCode = 31
	InvalidTimestamp                   ErrorCode = 32
	UnsupportedSASLMechanism           ErrorCode = 33
	IllegalSASLState                   ErrorCode = 34
	UnsupportedVersion                 ErrorCode = 35
	TopicAlreadyExists                 ErrorCode = 36
	InvalidPartitions                  ErrorCode = 37
	InvalidReplicationFactor           ErrorCode = 38
	InvalidReplicaAssignment           ErrorCode = 39
	InvalidConfig                      ErrorCode = 40
	NotController                      ErrorCode = 41
	InvalidRequest                     ErrorCode = 42
	UnsupportedForMessageFormat        ErrorCode = 43
	PolicyViolation                    ErrorCode = 44
	OutOfOrderSequenceNumber           ErrorCode = 45
	DuplicateSequenceNumber            ErrorCode = 46
	InvalidProducerEpoch               ErrorCode = 47
	InvalidTxnState                    ErrorCode = 48
	InvalidProducerIDMapping           ErrorCode = 49
	InvalidTransactionTimeout          ErrorCode = 50
	ConcurrentTransactions             ErrorCode = 51
	TransactionCoordinatorFenced       ErrorCode = 52
	TransactionalIDAuthorizationFailed ErrorCode = 53
	SecurityDisabled                   ErrorCode = 54
	OperationNotAttempted              ErrorCode = 55
	KafkaStorageError                  ErrorCode = 56
	LogDirNotFound                     ErrorCode = 57
	SASLAuthenticationFailed           ErrorCode = 58
	UnknownProducerID                  ErrorCode = 59
	ReassignmentInProgress             ErrorCode = 60
	DelegationTokenAuthDisabled        ErrorCode = 61
	DelegationTokenNotFound            ErrorCode = 62
	DelegationTokenOwnerMismatch       ErrorCode = 63
	DelegationTokenRequestNotAllowed   ErrorCode = 64
	DelegationTokenAuthorizationFailed ErrorCode = 65
	DelegationTokenExpired             ErrorCode = 66
	InvalidPrincipalType               ErrorCode = 67
	NonEmptyGroup                      ErrorCode = 68
	GroupIDNotFound                    ErrorCode = 69
	FetchSessionIDNotFound             ErrorCode = 70
	InvalidFetchSessionEpoch           ErrorCode = 71
	ListenerNotFound                   ErrorCode = 72
	TopicDeletionDisabled              ErrorCode = 73
	FencedLeaderEpoch                  ErrorCode = 74
	UnknownLeaderEpoch                 ErrorCode = 75
	UnsupportedCompressionType         ErrorCode = 76
	StaleBrokerEpoch                   ErrorCode = 77
	OffsetNotAvailable                 ErrorCode = 78
	MemberIDRequired                   ErrorCode = 79
	PreferredLeaderNotAvailable        ErrorCode = 80
	GroupMaxSizeReached                ErrorCode = 81
	FencedInstanceID                   ErrorCode = 82
	EligibleLeadersNotAvailable        ErrorCode = 83
	ElectionNotNeeded                  ErrorCode = 84
	NoReassignmentInProgress           ErrorCode = 85
	GroupSubscribedToTopic             ErrorCode = 86
	InvalidRecord                      ErrorCode = 87
	UnstableOffsetCommit               ErrorCode = 88
	ThrottlingQuotaExceeded            ErrorCode = 89
	ProducerFenced                     ErrorCode = 90
	ResourceNotFound                   ErrorCode = 91
	DuplicateResource                  ErrorCode = 92
	UnacceptableCredential             ErrorCode = 93
	InconsistentVoterSet               ErrorCode = 94
	InvalidUpdateVersion               ErrorCode = 95
	FeatureUpdateFailed                ErrorCode = 96
	PrincipalDeserializationFailure    ErrorCode = 97
	SnapshotNotFound                   ErrorCode = 98
	PositionOutOfRange                 ErrorCode = 99
	UnknownTopicID                     ErrorCode = 100
	DuplicateBrokerRegistration        ErrorCode = 101
	BrokerIDNotRegistered              ErrorCode = 102
	InconsistentTopicID                ErrorCode = 103
	InconsistentClusterID              ErrorCode = 104
	TransactionalIDNotFound            ErrorCode = 105
	FetchSessionTopicIDError           ErrorCode = 106
	IneligibleReplica                  ErrorCode = 107
	NewLeaderElected                   ErrorCode = 108
	OffsetMovedToTieredStorage         ErrorCode = 109
	FencedMemberEpoch                  ErrorCode = 110
	UnreleasedInstanceID               ErrorCode = 111
	UnsupportedAssignor                ErrorCode = 112
	StaleMemberEpoch                   ErrorCode = 113
	MismatchedEndpointType             ErrorCode = 114
	UnsupportedEndpointType            ErrorCode = 115
	UnknownControllerID                ErrorCode = 116
	UnknownSubscriptionID              ErrorCode = 117
	TelemetryTooLarge                  ErrorCode = 118
	InvalidRegistration                ErrorCode = 119
	TransactionAbortable               ErrorCode = 120
	InvalidRecordState                 ErrorCode = 121
	ShareSessionNotFound               ErrorCode = 122
	InvalidShareSessionEpoch           ErrorCode = 123
	FencedStateEpoch                   ErrorCode = 124
	InvalidVoterKey                    ErrorCode = 125
	DuplicateVoter                     ErrorCode = 126
	VoterNotFound                      ErrorCode = 127
	InvalidRegularExpression           ErrorCode = 128
	RebootstrapRequired                ErrorCode = 129
	StreamsInvalidTopology             ErrorCode = 130
	StreamsInvalidTopologyEpoch        ErrorCode = 131
	StreamsTopologyFenced              ErrorCode = 132
	ShareSessionLimitReached           ErrorCode = 133
)

type errorRow struct {
	name, message string
	retriable     bool
}

// errorRows is indexed by code + 1, since the table starts at -1.
var errorRows = [...]errorRow{
	UnknownServerError + 1:                 {"UNKNOWN_SERVER_ERROR", "the broker met an error it did not expect; its log has the details", false},
	None + 1:                               {"NONE", "success", false},
	OffsetOutOfRange + 1:                   {"OFFSET_OUT_OF_RANGE", "the offset is outside the range the broker keeps for the partition", false},
	CorruptMessage + 1:                     {"CORRUPT_MESSAGE", "the batch fails its CRC, has a wrong size or cannot be decoded", true},
	UnknownTopicOrPartition + 1:            {"UNKNOWN_TOPIC_OR_PARTITION", "this broker has no such topic or partition", true},
	InvalidFetchSize + 1:                   {"INVALID_FETCH_SIZE", "the fetch size is invalid", false},
	LeaderNotAvailable + 1:                 {"LEADER_NOT_AVAILABLE", "the partition has no leader at the moment", true},
	NotLeaderOrFollower + 1:                {"NOT_LEADER_OR_FOLLOWER", "this broker is not the leader, or not a replica, of the partition", true},
	RequestTimedOut + 1:                    {"REQUEST_TIMED_OUT", "the request was not completed within its timeout", true},
	BrokerNotAvailable + 1:                 {"BROKER_NOT_AVAILABLE", "the broker is not available", false},
	ReplicaNotAvailable + 1:                {"REPLICA_NOT_AVAILABLE", "the replica is not available", true},
	MessageTooLarge + 1:                    {"MESSAGE_TOO_LARGE", "the batch is larger than max.message.bytes of its topic", false},
	StaleControllerEpoch + 1:               {"STALE_CONTROLLER_EPOCH", "the controller has moved to another broker", false},
	OffsetMetadataTooLarge + 1:             {"OFFSET_METADATA_TOO_LARGE", "the metadata of the committed offset is too large", false},
	NetworkException + 1:                   {"NETWORK_EXCEPTION", "the connection broke before the answer came", true},
	CoordinatorLoadInProgress + 1:          {"COORDINATOR_LOAD_IN_PROGRESS", "the coordinator is loading and cannot answer yet", true},
	CoordinatorNotAvailable + 1:            {"COORDINATOR_NOT_AVAILABLE", "the coordinator is not available", true},
	NotCoordinator + 1:                     {"NOT_COORDINATOR", "this broker is not the coordinator", true},
	InvalidTopicException + 1:              {"INVALID_TOPIC_EXCEPTION", "the topic name is not valid, or the topic may not be written to by clients", false},
	RecordListTooLarge + 1:                 {"RECORD_LIST_TOO_LARGE", "the batch is larger than segment.bytes of its topic", false},
	NotEnoughReplicas + 1:                  {"NOT_ENOUGH_REPLICAS", "fewer replicas are in sync than min.insync.replicas asks for", true},
	NotEnoughReplicasAfterAppend + 1:       {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", "the records are written, but to fewer in-sync replicas than min.insync.replicas asks for", true},
	InvalidRequiredAcks + 1:                {"INVALID_REQUIRED_ACKS", "acks must be -1 (all), 0 or 1", false},
	IllegalGeneration + 1:                  {"ILLEGAL_GENERATION", "the generation is not the group's current one", false},
	InconsistentGroupProtocol + 1:          {"INCONSISTENT_GROUP_PROTOCOL", "the member supports none of the protocols, or not the protocol type, of the group", false},
	InvalidGroupID + 1:                     {"INVALID_GROUP_ID", "the group id is not valid", false},
	UnknownMemberID + 1:                    {"UNKNOWN_MEMBER_ID", "the coordinator does not know this member", false},
	InvalidSessionTimeout + 1:              {"INVALID_SESSION_TIMEOUT", "the session timeout is outside group.min.session.timeout.ms and group.max.session.timeout.ms", false},
	RebalanceInProgress + 1:                {"REBALANCE_IN_PROGRESS", "the group is rebalancing, rejoin it", false},
	InvalidCommitOffsetSize + 1:            {"INVALID_COMMIT_OFFSET_SIZE", "the committed offset is too large", false},
	TopicAuthorizationFailed + 1:           {"TOPIC_AUTHORIZATION_FAILED", "not authorized for the topic", false},
	GroupAuthorizationFailed + 1:           {"GROUP_AUTHORIZATION_FAILED", "not authorized for the group", false},
	ClusterAuthorizationFailed + 1:         {"CLUSTER_AUTHORIZATION_FAILED", "not authorized for the cluster", false},
	InvalidTimestamp + 1:                   {"INVALID_TIMESTAMP", "the timestamp of a record is outside what the topic accepts", false},
	UnsupportedSASLMechanism + 1:           {"UNSUPPORTED_SASL_MECHANISM", "the SASL mechanism is not enabled here", false},
	IllegalSASLState + 1:                   {"ILLEGAL_SASL_STATE", "the request does not fit the state of the SASL exchange", false},
	UnsupportedVersion + 1:                 {"UNSUPPORTED_VERSION", "the version of the API is not supported", false},
	TopicAlreadyExists + 1:                 {"TOPIC_ALREADY_EXISTS", "a topic of this name exists", false},
	InvalidPartitions + 1:                  {"INVALID_PARTITIONS", "the number of partitions is not valid", false},
	InvalidReplicationFactor + 1:           {"INVALID_REPLICATION_FACTOR", "the replication factor is below 1 or above the number of brokers", false},
	InvalidReplicaAssignment + 1:           {"INVALID_REPLICA_ASSIGNMENT", "the replica assignment is not valid", false},
	InvalidConfig + 1:                      {"INVALID_CONFIG", "a configuration value is not valid", false},
	NotController + 1:                      {"NOT_CONTROLLER", "this broker is not the controller", true},
	InvalidRequest + 1:                     {"INVALID_REQUEST", "the request contradicts itself or the protocol", false},
	UnsupportedForMessageFormat + 1:        {"UNSUPPORTED_FOR_MESSAGE_FORMAT", "the message format does not support this", false},
	PolicyViolation + 1:                    {"POLICY_VIOLATION", "a policy of the broker forbids this", false},
	OutOfOrderSequenceNumber + 1:           {"OUT_OF_ORDER_SEQUENCE_NUMBER", "the sequence number does not follow the last one of this producer", false},
	DuplicateSequenceNumber + 1:            {"DUPLICATE_SEQUENCE_NUMBER", "the sequence number was seen before", false},
	InvalidProducerEpoch + 1:               {"INVALID_PRODUCER_EPOCH", "a newer epoch of this producer exists", false},
	InvalidTxnState + 1:                    {"INVALID_TXN_STATE", "the transaction is not in a state that allows this", false},
	InvalidProducerIDMapping + 1:           {"INVALID_PRODUCER_ID_MAPPING", "the producer id does not belong to this transactional id", false},
	InvalidTransactionTimeout + 1:          {"INVALID_TRANSACTION_TIMEOUT", "the transaction timeout is outside 1 to transaction.max.timeout.ms", false},
	ConcurrentTransactions + 1:             {"CONCURRENT_TRANSACTIONS", "another transaction of this producer is still being completed", true},
	TransactionCoordinatorFenced + 1:       {"TRANSACTION_COORDINATOR_FENCED", "a newer transaction coordinator exists", false},
	TransactionalIDAuthorizationFailed + 1: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "not authorized for the transactional id", false},
	SecurityDisabled + 1:                   {"SECURITY_DISABLED", "no authorizer is configured, so there are no ACLs", false},
	OperationNotAttempted + 1:              {"OPERATION_NOT_ATTEMPTED", "not attempted, because another part of the request failed", false},
	KafkaStorageError + 1:                  {"KAFKA_STORAGE_ERROR", "the disk of the partition failed", true},
	LogDirNotFound + 1:                     {"LOG_DIR_NOT_FOUND", "no such log directory", false},
	SASLAuthenticationFailed + 1:           {"SASL_AUTHENTICATION_FAILED", "authentication failed", false},
	UnknownProducerID + 1:                  {"UNKNOWN_PRODUCER_ID", "the broker knows nothing of this producer id", false},
	ReassignmentInProgress + 1:             {"REASSIGNMENT_IN_PROGRESS", "a reassignment of the partition is in progress", false},
	DelegationTokenAuthDisabled + 1:        {"DELEGATION_TOKEN_AUTH_DISABLED", "delegation tokens are not enabled", false},
	DelegationTokenNotFound + 1:            {"DELEGATION_TOKEN_NOT_FOUND", "no such delegation token", false},
	DelegationTokenOwnerMismatch + 1:       {"DELEGATION_TOKEN_OWNER_MISMATCH", "not the owner of the delegation token", false},
	DelegationTokenRequestNotAllowed + 1:   {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "delegation tokens cannot be asked for on this connection", false},
	DelegationTokenAuthorizationFailed + 1: {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", "not authorized for the delegation token", false},
	DelegationTokenExpired + 1:             {"DELEGATION_TOKEN_EXPIRED", "the delegation token has expired", false},
	InvalidPrincipalType + 1:               {"INVALID_PRINCIPAL_TYPE", "the principal type is not supported", false},
	NonEmptyGroup + 1:                      {"NON_EMPTY_GROUP", "the group has members", false},
	GroupIDNotFound + 1:                    {"GROUP_ID_NOT_FOUND", "no such group", false},
	FetchSessionIDNotFound + 1:             {"FETCH_SESSION_ID_NOT_FOUND", "the fetch session is not known", true},
	InvalidFetchSessionEpoch + 1:           {"INVALID_FETCH_SESSION_EPOCH", "the fetch session epoch is not the expected one", true},
	ListenerNotFound + 1:                   {"LISTENER_NOT_FOUND", "the leader has no listener of the name the request came in on", true},
	TopicDeletionDisabled + 1:              {"TOPIC_DELETION_DISABLED", "deletion of topics is disabled", false},
	FencedLeaderEpoch + 1:                  {"FENCED_LEADER_EPOCH", "the leader epoch in the request is older than the broker's", true},
	UnknownLeaderEpoch + 1:                 {"UNKNOWN_LEADER_EPOCH", "the leader epoch in the request is newer than the broker's", true},
	UnsupportedCompressionType + 1:         {"UNSUPPORTED_COMPRESSION_TYPE", "the compression type is not supported at this version of the API", false},
	StaleBrokerEpoch + 1:                   {"STALE_BROKER_EPOCH", "the broker epoch is stale", false},
	OffsetNotAvailable + 1:                 {"OFFSET_NOT_AVAILABLE", "the leader's high watermark has not caught up after its election", true},
	MemberIDRequired + 1:                   {"MEMBER_ID_REQUIRED", "join again with the member id given here", false},
	PreferredLeaderNotAvailable + 1:        {"PREFERRED_LEADER_NOT_AVAILABLE", "the preferred leader is not available", true},
	GroupMaxSizeReached + 1:                {"GROUP_MAX_SIZE_REACHED", "the group has group.max.size members", false},
	FencedInstanceID + 1:                   {"FENCED_INSTANCE_ID", "another member has registered with this group.instance.id", false},
	EligibleLeadersNotAvailable + 1:        {"ELIGIBLE_LEADERS_NOT_AVAILABLE", "no eligible leader is available", true},
	ElectionNotNeeded + 1:                  {"ELECTION_NOT_NEEDED", "the leader is already the wanted one", true},
	NoReassignmentInProgress + 1:           {"NO_REASSIGNMENT_IN_PROGRESS", "no reassignment is in progress", false},
	GroupSubscribedToTopic + 1:             {"GROUP_SUBSCRIBED_TO_TOPIC", "the group is subscribed to the topic", false},
	InvalidRecord + 1:                      {"INVALID_RECORD", "a record of the batch does not fit the rules of the topic", false},
	UnstableOffsetCommit + 1:               {"UNSTABLE_OFFSET_COMMIT", "offsets of an open transaction are not committed yet", true},
	ThrottlingQuotaExceeded + 1:            {"THROTTLING_QUOTA_EXCEEDED", "a quota is exceeded", true},
	ProducerFenced + 1:                     {"PRODUCER_FENCED", "a newer producer with the same transactional id exists", false},
	ResourceNotFound + 1:                   {"RESOURCE_NOT_FOUND", "no such resource", false},
	DuplicateResource + 1:                  {"DUPLICATE_RESOURCE", "the resource exists already", false},
	UnacceptableCredential + 1:             {"UNACCEPTABLE_CREDENTIAL", "the credential is not acceptable", false},
	InconsistentVoterSet + 1:               {"INCONSISTENT_VOTER_SET", "the voter sets differ", false},
	InvalidUpdateVersion + 1:               {"INVALID_UPDATE_VERSION", "the update version is not valid", false},
	FeatureUpdateFailed + 1:                {"FEATURE_UPDATE_FAILED", "the feature could not be updated", false},
	PrincipalDeserializationFailure + 1:    {"PRINCIPAL_DESERIALIZATION_FAILURE", "the forwarded principal could not be read", false},
	SnapshotNotFound + 1:                   {"SNAPSHOT_NOT_FOUND", "no such snapshot", false},
	PositionOutOfRange + 1:                 {"POSITION_OUT_OF_RANGE", "the position is out of range", false},
	UnknownTopicID + 1:                     {"UNKNOWN_TOPIC_ID", "this broker knows no topic of this id", true},
	DuplicateBrokerRegistration + 1:        {"DUPLICATE_BROKER_REGISTRATION", "a broker of this id is registered", false},
	BrokerIDNotRegistered + 1:              {"BROKER_ID_NOT_REGISTERED", "the broker id is not registered", false},
	InconsistentTopicID + 1:                {"INCONSISTENT_TOPIC_ID", "the topic id in the log is not the one in the request", true},
	InconsistentClusterID + 1:              {"INCONSISTENT_CLUSTER_ID", "the cluster id is not this cluster's", false},
	TransactionalIDNotFound + 1:            {"TRANSACTIONAL_ID_NOT_FOUND", "no such transactional id", false},
	FetchSessionTopicIDError + 1:           {"FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic ids and topic names", true},
	IneligibleReplica + 1:                  {"INELIGIBLE_REPLICA", "the replica may not join the ISR", false},
	NewLeaderElected + 1:                   {"NEW_LEADER_ELECTED", "a new leader was elected", false},
	OffsetMovedToTieredStorage + 1:         {"OFFSET_MOVED_TO_TIERED_STORAGE", "the offset is in tiered storage", false},
	FencedMemberEpoch + 1:                  {"FENCED_MEMBER_EPOCH", "the member epoch is fenced, rejoin the group", false},
	UnreleasedInstanceID + 1:               {"UNRELEASED_INSTANCE_ID", "another member still holds this group.instance.id", false},
	UnsupportedAssignor + 1:                {"UNSUPPORTED_ASSIGNOR", "the assignor is not supported", false},
	StaleMemberEpoch + 1:                   {"STALE_MEMBER_EPOCH", "the member epoch is stale", false},
	MismatchedEndpointType + 1:             {"MISMATCHED_ENDPOINT_TYPE", "this endpoint is of another type", false},
	UnsupportedEndpointType + 1:            {"UNSUPPORTED_ENDPOINT_TYPE", "the endpoint type is not supported", false},
	UnknownControllerID + 1:                {"UNKNOWN_CONTROLLER_ID", "the controller id is not known", false},
	UnknownSubscriptionID + 1:              {"UNKNOWN_SUBSCRIPTION_ID", "the telemetry subscription id is not known", false},
	TelemetryTooLarge + 1:                  {"TELEMETRY_TOO_LARGE", "the telemetry is too large", false},
	InvalidRegistration + 1:                {"INVALID_REGISTRATION", "the registration is not valid", false},
	TransactionAbortable + 1:               {"TRANSACTION_ABORTABLE", "abort the transaction and go on", false},
	InvalidRecordState + 1:                 {"INVALID_RECORD_STATE", "the record is not in a state that allows this", false},
	ShareSessionNotFound + 1:               {"SHARE_SESSION_NOT_FOUND", "the share session is not known", true},
	InvalidShareSessionEpoch + 1:           {"INVALID_SHARE_SESSION_EPOCH", "the share session epoch is not the expected one", true},
	FencedStateEpoch + 1:                   {"FENCED_STATE_EPOCH", "the state epoch is fenced", false},
	InvalidVoterKey + 1:                    {"INVALID_VOTER_KEY", "the voter key is not valid", false},
	DuplicateVoter + 1:                     {"DUPLICATE_VOTER", "the voter exists already", false},
	VoterNotFound + 1:                      {"VOTER_NOT_FOUND", "no such voter", false},
	InvalidRegularExpression + 1:           {"INVALID_REGULAR_EXPRESSION", "the regular expression is not valid", false},
	RebootstrapRequired + 1:                {"REBOOTSTRAP_REQUIRED", "the client must bootstrap again", false},
	StreamsInvalidTopology + 1:             {"STREAMS_INVALID_TOPOLOGY", "the topology is not valid", false},
	StreamsInvalidTopologyEpoch + 1:        {"STREAMS_INVALID_TOPOLOGY_EPOCH", "the topology epoch is not valid", false},
	StreamsTopologyFenced + 1:              {"STREAMS_TOPOLOGY_FENCED", "the topology is fenced", false},
	ShareSessionLimitReached + 1:           {"SHARE_SESSION_LIMIT_REACHED", "the limit of share sessions is reached", true},
}

func (c ErrorCode) row() errorRow {
	if i := int(c) + 1; i >= 0 && i < len(errorRows) {
		return errorRows[i]
	}
	return errorRow{name: "ERROR_" + strconv.Itoa(int(c)), message: "an error code this build does not know"}
}

// String is Kafka's name of the code: "NOT_LEADER_OR_FOLLOWER".
func (c ErrorCode) String() string { return c.row().name }

// Message says in one sentence, without a full stop, what the code means.
func (c ErrorCode) Message() string { return c.row().message }

// Retriable reports whether clients try the same request again.
func (c ErrorCode) Retriable() bool { return c.row().retriable }
