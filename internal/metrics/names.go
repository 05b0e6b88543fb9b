package metrics

import "github.com/prometheus/client_golang/prometheus"

// Labels.
const (
	labelRequest   = "request"
	labelVersion   = "version"
	labelError     = "error"
	labelTopic     = "topic"
	labelListener  = "listener"
	labelReason    = "reason"
	labelOperation = "delayedoperation"
	labelDirectory = "logdirectory"
	labelGroup     = "group"
	labelState     = "state"
	labelCause     = "cause"
	labelPhase     = "phase"
)

// otherTopics is the topic label of all topics beyond metrics.topics.max. Kafka allows the name for a topic; who uses it shares
// the series.
const otherTopics = "_other"

// latencies are the bucket bounds of all times, in seconds: from one group commit on a fast disk to a client's timeout.
var latencies = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// vectors are the counters and histograms that count as things happen.
type vectors struct {
	requests, requestErrors, requestBytes, responseBytes                       *prometheus.CounterVec
	totalTime, remoteTime, sendTime                                            *prometheus.HistogramVec
	messagesIn, bytesIn, bytesOut, bytesRejected                               *prometheus.CounterVec
	produceRequests, fetchRequests, failedProduceRequests, failedFetchRequests *prometheus.CounterVec
	rejectedRecords                                                            *prometheus.CounterVec
	connectionsAccepted, connectionsRefused, connectionsKilled, bytesSent      *prometheus.CounterVec
	connections                                                                *prometheus.GaugeVec
	flushTime                                                                  prometheus.Histogram
	flushedLogs                                                                prometheus.Histogram
	flushErrors, cleanerRuns, cleanerRead, cleanerWritten                      prometheus.Counter
	segmentsDeleted, recoveredLogs                                             prometheus.Counter
	groupIncidents                                                             *prometheus.CounterVec
	groupCommits, groupExpired, groupRebalances                                *prometheus.CounterVec
	groupPhases                                                                *prometheus.HistogramVec
	holds, syncHolds                                                           *prometheus.HistogramVec
	holdsGivenUp                                                               prometheus.Counter
}

func newVectors(r prometheus.Registerer) *vectors {
	c := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	one := func(name, help string) prometheus.Counter {
		v := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(v)
		return v
	}
	h := func(name, help string, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencies}, labels)
		r.MustRegister(v)
		return v
	}
	v := &vectors{
		requests:      c("kafka_network_requestmetrics_requests_total", "Requests answered, by API and version.", labelRequest, labelVersion),
		requestErrors: c("kafka_network_requestmetrics_errors_total", "Error codes in answers, by API; a request with errors for three partitions counts three.", labelRequest, labelError),
		requestBytes:  c("kafka_network_requestmetrics_requestbytes_total", "Bytes of requests, by API.", labelRequest),
		responseBytes: c("kafka_network_requestmetrics_responsebytes_total", "Bytes of answers, by API.", labelRequest),
		totalTime:     h("kafka_network_requestmetrics_totaltime_seconds", "From the last byte of a request read to the last byte of its answer written.", labelRequest),
		remoteTime:    h("kafka_network_requestmetrics_remotetime_seconds", "Time of that spent waiting, of requests that waited: a produce for the disk and the replicas, a fetch for records.", labelRequest),
		sendTime:      h("kafka_network_requestmetrics_responsesendtime_seconds", "Time of that spent writing the answer to the socket.", labelRequest),

		messagesIn:            c("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.", labelTopic),
		bytesIn:               c("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of batches produced.", labelTopic),
		bytesOut:              c("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of batches fetched.", labelTopic),
		bytesRejected:         c("kafka_server_brokertopicmetrics_bytesrejected_total", "Bytes of batches refused for their size.", labelTopic),
		produceRequests:       c("kafka_server_brokertopicmetrics_totalproducerequests_total", "Partitions in produce requests.", labelTopic),
		fetchRequests:         c("kafka_server_brokertopicmetrics_totalfetchrequests_total", "Partitions in fetch requests.", labelTopic),
		failedProduceRequests: c("kafka_server_brokertopicmetrics_failedproducerequests_total", "Partitions in produce requests answered with an error.", labelTopic),
		failedFetchRequests:   c("kafka_server_brokertopicmetrics_failedfetchrequests_total", "Partitions in fetch requests answered with an error.", labelTopic),
		rejectedRecords:       c("kafka_server_brokertopicmetrics_rejectedrecords_total", "Batches refused because of what is in them, by error code.", labelReason),

		connectionsAccepted: c("kafka_network_socketserver_connections_accepted_total", "Connections accepted.", labelListener),
		connectionsRefused:  c("kafka_network_socketserver_connections_refused_total", "Connections closed at once: too many in all, too many of one address.", labelListener, labelReason),
		connectionsKilled:   c("kafka_network_socketserver_connections_killed_total", "Connections closed by the broker: idle, slow, or sending what is no request.", labelListener, labelReason),

		bytesSent: c("kafka_server_socketservermetrics_outgoing_byte_total", "Bytes written to sockets.", labelListener),

		flushErrors:     one("kafka_log_logflushstats_flusherrors_total", "Flushes that failed; each takes a log directory offline."),
		cleanerRuns:     one("kafka_log_logcleaner_runs_total", "Logs compacted."),
		cleanerRead:     one("kafka_log_logcleaner_bytesread_total", "Bytes read by compaction."),
		cleanerWritten:  one("kafka_log_logcleaner_byteswritten_total", "Bytes written by compaction."),
		segmentsDeleted: one("kafka_log_logmanager_segmentsdeleted_total", "Segments deleted by retention."),
		recoveredLogs:   one("kafka_log_logmanager_recoveredlogs_total", "Logs walked at the start because the last stop was not a clean one."),

		groupCommits:    c("barnabas_group_commits_total", "Offsets committed, by group.", labelGroup),
		groupExpired:    c("barnabas_group_expired_members_total", "Members removed because they were silent for their session timeout, by group.", labelGroup),
		groupIncidents:  c("barnabas_group_incidents_total", "Rebalances that have ended and what else the journal recorded, by group and by the cause that the journal found: C01 to C23, \"\" for not known.", labelGroup, labelCause),
		groupRebalances: c("barnabas_group_rebalances_total", "Rebalances begun, by group and by what began them.", labelGroup, labelCause),
		holdsGivenUp:    one("barnabas_heartbeat_holds_given_up_total", "Clients of a group whose heartbeats are not held for an hour, because holding one delayed them or made them reconnect."),
		holds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "barnabas_heartbeat_hold_seconds", Help: "Time that the answers to heartbeats were held back, by what ended it: a rebalance to tell of, another request of the client, the bound, the end of the membership or of the connection.",
			Buckets: phases}, []string{labelCause}),
		syncHolds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "barnabas_sync_hold_seconds", Help: "Time that the answers to the SyncGroups of members without partitions were held back, by what ended it: the second round of a cooperative rebalance, another request of the client, the bound, the end of the membership.",
			Buckets: phases}, []string{labelCause}),
		groupPhases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "barnabas_group_rebalance_phase_seconds", Help: "Time of a phase of a rebalance: join, until the members have come; sync, until the leader's assignment is there.",
			Buckets: phases}, []string{labelGroup, labelPhase}),

		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kafka_server_socketservermetrics_connection_count", Help: "Open connections."}, []string{labelListener}),
		flushTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kafka_log_logflushstats_logflushtime_seconds", Help: "Time of one flush of a log directory to disk.", Buckets: latencies}),
		flushedLogs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kafka_log_logflushstats_logsperflush", Help: "Partitions that one flush made durable together.", Buckets: []float64{1, 2, 5, 10, 25, 50, 100, 250, 1000}}),
	}
	r.MustRegister(v.connections, v.flushTime, v.flushedLogs, v.groupPhases, v.holds, v.syncHolds)
	return v
}

// descs are the gauges that are read at each scrape.
type descs struct {
	leaders, partitions, offlineReplicas, underReplicated, underMinISR, atMinISR *prometheus.Desc
	activeController, topics, clusterPartitions, offlinePartitions               *prometheus.Desc
	purgatory, fetchSessions, fetchSessionPartitions                             *prometheus.Desc
	requestsInFlight, memoryUsed, memoryMax, decompressionUsed                   *prometheus.Desc
	logSize, logSegments, offlineDirs, dirOffline, dirTotal, dirUsable           *prometheus.Desc
	openFiles, openFilesMax, uncleanable, producers, ready                       *prometheus.Desc
	groups, groupState, groupMembers, groupGeneration, groupLag, groupLagMax     *prometheus.Desc
	groupsLoading                                                                *prometheus.Desc
	journalRecords, journalLost, journalLostNotes, journalWaiting                *prometheus.Desc
}

func newDescs() *descs {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &descs{
		leaders:         d("kafka_server_replicamanager_leadercount", "Partitions this broker leads."),
		partitions:      d("kafka_server_replicamanager_partitioncount", "Partitions this broker holds a replica of."),
		offlineReplicas: d("kafka_server_replicamanager_offlinereplicacount", "Replicas of this broker that are offline because their disk failed."),
		underReplicated: d("kafka_server_replicamanager_underreplicatedpartitions", "Led partitions with fewer replicas in sync than they have."),
		underMinISR:     d("kafka_server_replicamanager_underminisrpartitioncount", "Led partitions with fewer replicas in sync than min.insync.replicas: acks=all is refused."),
		atMinISR:        d("kafka_server_replicamanager_atminisrpartitioncount", "Led partitions with exactly min.insync.replicas in sync."),

		activeController:  d("kafka_controller_kafkacontroller_activecontrollercount", "1 on the broker that is the controller."),
		topics:            d("kafka_controller_kafkacontroller_globaltopiccount", "Topics of the cluster."),
		clusterPartitions: d("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions of the cluster."),
		offlinePartitions: d("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions without a leader."),

		purgatory:              d("kafka_server_delayedoperationpurgatory_purgatorysize", "Requests that wait for something to happen.", labelOperation),
		fetchSessions:          d("kafka_server_fetchsessioncache_numincrementalfetchsessions", "Incremental fetch sessions remembered."),
		fetchSessionPartitions: d("kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "Partitions in these sessions."),

		requestsInFlight:  d("kafka_network_requestchannel_requestsinflight", "Requests being worked on."),
		memoryUsed:        d("kafka_network_socketserver_memorypoolused_bytes", "Memory of requests read and not yet answered."),
		memoryMax:         d("kafka_network_socketserver_memorypoolmax_bytes", "Bound of that memory, queued.max.request.bytes; -1 without bound."),
		decompressionUsed: d("barnabas_decompression_memory_bytes", "Memory that checks of compressed batches hold."),

		logSize:      d("kafka_log_log_size", "Bytes of the logs of a topic on this broker.", labelTopic),
		logSegments:  d("kafka_log_log_numlogsegments", "Segments of the logs of a topic on this broker.", labelTopic),
		offlineDirs:  d("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that are offline."),
		dirOffline:   d("kafka_log_logmanager_logdirectoryoffline", "1 when the log directory is offline.", labelDirectory),
		dirTotal:     d("kafka_log_logmanager_logdirectorytotal_bytes", "Size of the file system of the log directory.", labelDirectory),
		dirUsable:    d("kafka_log_logmanager_logdirectoryusable_bytes", "Free space of the file system of the log directory.", labelDirectory),
		openFiles:    d("barnabas_log_open_files", "Segment and index files open."),
		openFilesMax: d("barnabas_log_open_files_max", "Bound of that number, open.files.max."),
		uncleanable:  d("kafka_log_logcleanermanager_uncleanablepartitionscount", "Partitions that compaction gave up on."),
		producers:    d("kafka_server_replicamanager_produceridcount", "Idempotent producers remembered over all partitions."),
		ready:        d("barnabas_ready", "1 when /readyz answers 200."),

		groups:           d("barnabas_groups", "Groups that this broker coordinates, by state.", labelState),
		groupsLoading:    d("barnabas_group_partitions_loading", "Partitions of __consumer_offsets whose groups are being read; their clients wait."),
		journalRecords:   d("barnabas_journal_records_total", "Records written to __barnabas_rebalances since the start."),
		journalLost:      d("barnabas_journal_lost_records_total", "Records of rebalances that could not be written to __barnabas_rebalances; the rebalances went on."),
		journalLostNotes: d("barnabas_journal_lost_notes_total", "Notes of the coordinator for which the journal had no room: what they told is in no record."),
		journalWaiting:   d("barnabas_journal_waiting_notes", "Notes of the coordinator that the journal has not worked on yet."),
		groupState:       d("barnabas_group_state", "Always 1; the label says the state of the group.", labelGroup, labelState),
		groupMembers:     d("barnabas_group_members", "Members of the group.", labelGroup),
		groupGeneration:  d("barnabas_group_generation", "Generation of the group; it grows by one with each rebalance.", labelGroup),
		groupLag:         d("barnabas_group_lag_records", "Offsets between what the group has committed and the end of the log, over all partitions it has committed.", labelGroup),
		groupLagMax:      d("barnabas_group_lag_records_max", "The same of the partition where it is greatest.", labelGroup),
	}
}
