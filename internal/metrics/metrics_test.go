package metrics

import (
	"flag"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/coord"
	"github.com/barnabas-mq/barnabas/internal/coord/runtime"
	"github.com/barnabas-mq/barnabas/internal/kafka"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/metrics.txt")

func names(key int16) string { return map[int16]string{0: "Produce", 1: "Fetch"}[key] }

// scrape is the text of /metrics without comments and without the metrics of Go and the process.
func scrape(t testing.TB, m *Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatal(err, w.Code, string(body))
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(body)), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "go_") || strings.HasPrefix(l, "process_") || strings.HasPrefix(l, "promhttp_") || strings.Contains(l, " go_") || strings.Contains(l, " process_")
	})
}

// value finds one series; "" when there is none.
func value(lines []string, series string) string {
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, series+" "); ok {
			return v
		}
	}
	return ""
}

func check(t *testing.T, m *Metrics, want map[string]string) {
	t.Helper()
	lines := scrape(t, m)
	for series, v := range want { // any order: independent
		if got := value(lines, series); got != v {
			t.Errorf("%s is %q, want %q", series, got, v)
		}
	}
}

func TestRequests(t *testing.T) {
	m := New(Options{APIName: names, TopicsMax: 10})
	m.Request(0, 12).Done(100, 40, Times{Total: 3 * time.Millisecond, Remote: 2 * time.Millisecond, Send: time.Microsecond})
	m.Request(0, 12).Done(100, 40, Times{Total: 3 * time.Millisecond})
	m.Request(0, 9).Done(1, -5, Times{})
	m.Request(1, 17).Done(7, 8, Times{Total: time.Minute})
	m.Request(-3, -1).Done(1, 1, Times{})
	m.Request(999, 999).Done(1, 1, Times{})
	m.Error(0, kafka.None)
	m.Error(0, kafka.NotEnoughReplicas)
	m.Error(0, kafka.NotEnoughReplicas)
	m.RejectedBatch(kafka.CorruptMessage)
	check(t, m, map[string]string{
		`kafka_network_requestmetrics_requests_total{request="Produce",version="12"}`:              "2",
		`kafka_network_requestmetrics_requests_total{request="Produce",version="9"}`:               "1",
		`kafka_network_requestmetrics_requests_total{request="Fetch",version="17"}`:                "1",
		`kafka_network_requestmetrics_requests_total{request="Unknown",version="other"}`:           "2",
		`kafka_network_requestmetrics_requestbytes_total{request="Produce"}`:                       "201",
		`kafka_network_requestmetrics_responsebytes_total{request="Produce"}`:                      "80",
		`kafka_network_requestmetrics_totaltime_seconds_bucket{request="Produce",le="0.0025"}`:     "1",
		`kafka_network_requestmetrics_totaltime_seconds_bucket{request="Produce",le="0.005"}`:      "3",
		`kafka_network_requestmetrics_totaltime_seconds_count{request="Produce"}`:                  "3",
		`kafka_network_requestmetrics_totaltime_seconds_sum{request="Fetch"}`:                      "60",
		`kafka_network_requestmetrics_remotetime_seconds_sum{request="Produce"}`:                   "0.002",
		`kafka_network_requestmetrics_errors_total{error="NOT_ENOUGH_REPLICAS",request="Produce"}`: "2",
		`kafka_network_requestmetrics_errors_total{error="NONE",request="Produce"}`:                "",
		`kafka_server_brokertopicmetrics_rejectedrecords_total{reason="CORRUPT_MESSAGE"}`:          "1",
	})
}

func TestTopicsAreBounded(t *testing.T) {
	m := New(Options{TopicsMax: 2})
	a := m.Topic("a")
	a.Produced(3, 300)
	a.Fetched(50)
	a.ProduceFailed(9000)
	a.FetchFailed()
	if m.Topic("a") != a {
		t.Error("a topic has two objects")
	}
	m.Topic("b").Produced(1, 1)
	m.Topic("c").Produced(1, 10)
	m.Topic("d").Produced(1, 20)
	check(t, m, map[string]string{
		`kafka_server_brokertopicmetrics_messagesin_total{topic="a"}`:            "3",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="a"}`:               "300",
		`kafka_server_brokertopicmetrics_bytesout_total{topic="a"}`:              "50",
		`kafka_server_brokertopicmetrics_bytesrejected_total{topic="a"}`:         "9000",
		`kafka_server_brokertopicmetrics_totalproducerequests_total{topic="a"}`:  "2",
		`kafka_server_brokertopicmetrics_failedproducerequests_total{topic="a"}`: "1",
		`kafka_server_brokertopicmetrics_totalfetchrequests_total{topic="a"}`:    "2",
		`kafka_server_brokertopicmetrics_failedfetchrequests_total{topic="a"}`:   "1",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="_other"}`:          "30",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="c"}`:               "",
	})
	m.ForgetTopic("a")
	m.ForgetTopic("nobody")
	a.Produced(1, 1) // a request that was under way
	m.Topic("e").Produced(1, 5)
	check(t, m, map[string]string{
		`kafka_server_brokertopicmetrics_bytesin_total{topic="a"}`:      "",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="e"}`:      "5",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="_other"}`: "30",
	})
}

func TestConnectionsFlushesAndCompaction(t *testing.T) {
	m := New(Options{})
	l := m.Listener("PLAINTEXT")
	l.Opened()
	l.Opened()
	l.Closed()
	l.Refused(TooMany)
	l.Killed(Idle)
	m.Flushed(12, 3*time.Millisecond)
	m.FlushFailed()
	m.Compacted(100, 40)
	m.SegmentsDeleted(2)
	m.Recovered(3)
	check(t, m, map[string]string{
		`kafka_network_socketserver_connections_accepted_total{listener="PLAINTEXT"}`:                              "2",
		`kafka_server_socketservermetrics_connection_count{listener="PLAINTEXT"}`:                                  "1",
		`kafka_network_socketserver_connections_refused_total{listener="PLAINTEXT",reason="too many connections"}`: "1",
		`kafka_network_socketserver_connections_killed_total{listener="PLAINTEXT",reason="idle"}`:                  "1",
		`kafka_log_logflushstats_logflushtime_seconds_count`:                                                       "1",
		`kafka_log_logflushstats_logsperflush_sum`:                                                                 "12",
		`kafka_log_logflushstats_flusherrors_total`:                                                                "1",
		`kafka_log_logcleaner_runs_total`:                                                                          "1",
		`kafka_log_logcleaner_bytesread_total`:                                                                     "100",
		`kafka_log_logcleaner_byteswritten_total`:                                                                  "40",
		`kafka_log_logmanager_segmentsdeleted_total`:                                                               "2",
		`kafka_log_logmanager_recoveredlogs_total`:                                                                 "3",
	})
}

func TestServer(t *testing.T) {
	m := New(Options{APIName: names, TopicsMax: 5})
	s := m.Server("PLAINTEXT")
	s.ConnectionOpened()
	s.ConnectionOpened()
	s.ConnectionClosed()
	s.ConnectionRefused()
	s.InvalidRequest()
	s.Request(1, -1, 3*time.Second, time.Second, 100, 200)
	s.Error(1, kafka.OffsetOutOfRange)
	s.BytesOut(250)
	s.Produced("a", 1000, 10)
	s.Fetched("a", 500)
	check(t, m, map[string]string{
		`kafka_network_socketserver_connections_accepted_total{listener="PLAINTEXT"}`:                              "2",
		`kafka_server_socketservermetrics_connection_count{listener="PLAINTEXT"}`:                                  "1",
		`kafka_network_socketserver_connections_refused_total{listener="PLAINTEXT",reason="too many connections"}`: "1",
		`kafka_network_socketserver_connections_killed_total{listener="PLAINTEXT",reason="garbage"}`:               "1",
		`kafka_network_requestmetrics_requests_total{request="Fetch",version="other"}`:                             "1",
		`kafka_network_requestmetrics_totaltime_seconds_sum{request="Fetch"}`:                                      "3",
		`kafka_network_requestmetrics_errors_total{error="OFFSET_OUT_OF_RANGE",request="Fetch"}`:                   "1",
		`kafka_server_socketservermetrics_outgoing_byte_total{listener="PLAINTEXT"}`:                               "250",
		`kafka_server_brokertopicmetrics_bytesin_total{topic="a"}`:                                                 "1000",
		`kafka_server_brokertopicmetrics_messagesin_total{topic="a"}`:                                              "10",
		`kafka_server_brokertopicmetrics_bytesout_total{topic="a"}`:                                                "500",
	})
}

func TestSample(t *testing.T) {
	s := Sample{
		Ready: true, Leaders: 4, Partitions: 5, UnderMinISR: 1, ActiveController: true, WaitingFetch: 7, MemoryUsed: 10, MemoryMax: -1, OpenFiles: 3, FilesMax: 9,
		Logs: []TopicLogs{{"b", 20, 2}, {"a", 10, 1}, {"b", 5, 1}, {"c", 7, 1}, {"_other", 1, 1}},
		Dirs: []Dir{{"/x", false, 100, 40}, {"/y", true, -1, -1}},
	}
	m := New(Options{TopicsMax: 2, Sample: func() Sample { return s }})
	check(t, m, map[string]string{
		"barnabas_ready": "1", "kafka_server_replicamanager_leadercount": "4", "kafka_server_replicamanager_partitioncount": "5",
		"kafka_server_replicamanager_underminisrpartitioncount":                            "1",
		"kafka_controller_kafkacontroller_activecontrollercount":                           "1",
		`kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Fetch"}`:   "7",
		`kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Produce"}`: "0",
		"kafka_network_socketserver_memorypoolused_bytes":                                  "10",
		"kafka_network_socketserver_memorypoolmax_bytes":                                   "-1",
		`kafka_log_log_size{topic="a"}`:                                                    "10",
		`kafka_log_log_size{topic="b"}`:                                                    "25",
		`kafka_log_log_numlogsegments{topic="b"}`:                                          "3",
		`kafka_log_log_size{topic="c"}`:                                                    "",
		`kafka_log_log_size{topic="_other"}`:                                               "8",
		"kafka_log_logmanager_offlinelogdirectorycount":                                    "1",
		`kafka_log_logmanager_logdirectoryoffline{logdirectory="/y"}`:                      "1",
		`kafka_log_logmanager_logdirectoryusable_bytes{logdirectory="/x"}`:                 "40",
		`kafka_log_logmanager_logdirectoryusable_bytes{logdirectory="/y"}`:                 "",
		"barnabas_log_open_files":                                                          "3",
	})
}

func TestGroups(t *testing.T) {
	var now []GroupSample
	m := New(Options{GroupsMax: 2, Sample: func() Sample { return Sample{Groups: now, GroupsLoading: 3, WaitingGroups: 4} }})
	notes := func(notes ...coord.Note) {
		var timed []runtime.TimedNote
		for _, n := range notes {
			timed = append(timed, runtime.TimedNote{Note: n})
		}
		m.GroupNotes(timed)
	}
	notes(coord.RebalanceStarted{Group: "a", Trigger: coord.MemberJoined}, coord.JoinCompleted{Group: "a", Took: 2 * time.Second},
		coord.Stabilized{Group: "a", Took: 50 * time.Millisecond},
		coord.MemberRemoved{Group: "a", Cause: coord.SilentSession}, coord.RebalanceStarted{Group: "a", Trigger: coord.SessionExpired},
		coord.MemberRemoved{Group: "a", Cause: coord.Left}, coord.GroupEmptied{Group: "a", Took: 4 * time.Second})
	m.Server("PLAINTEXT").Committed("b", 5)
	m.Group("c").Committed(1) // beyond the bound
	m.Group("d").Committed(2)
	notes(coord.RebalanceStarted{Group: "c", Trigger: coord.MemberLeft}, coord.RebalanceStarted{Group: "d", Trigger: coord.MemberLeft})
	now = []GroupSample{{"d", "Stable", 2, 7, 100, 60}, {"c", "Empty", 0, 1, 10, 10}, {"b", "Empty", 0, 0, -1, -1}, {"a", "Stable", 3, 9, 40, 30}}
	check(t, m, map[string]string{
		`barnabas_group_rebalances_total{cause="a member joined",group="a"}`:             "1",
		`barnabas_group_rebalances_total{cause="a member went silent",group="a"}`:        "1",
		`barnabas_group_rebalances_total{cause="a member left",group="_other"}`:          "2",
		`barnabas_group_rebalance_phase_seconds_sum{group="a",phase="join"}`:             "6",
		`barnabas_group_rebalance_phase_seconds_count{group="a",phase="join"}`:           "2",
		`barnabas_group_rebalance_phase_seconds_bucket{group="a",phase="sync",le="0.1"}`: "1",
		`barnabas_group_expired_members_total{group="a"}`:                                "1",
		`barnabas_group_commits_total{group="b"}`:                                        "5",
		`barnabas_group_commits_total{group="c"}`:                                        "",
		`barnabas_group_commits_total{group="_other"}`:                                   "3",
		`barnabas_group_state{group="a",state="Stable"}`:                                 "1",
		`barnabas_group_state{group="c",state="Empty"}`:                                  "",
		`barnabas_group_members{group="a"}`:                                              "3",
		`barnabas_group_generation{group="a"}`:                                           "9",
		`barnabas_group_lag_records{group="a"}`:                                          "40",
		`barnabas_group_lag_records_max{group="a"}`:                                      "30",
		`barnabas_group_members{group="_other"}`:                                         "2",
		`barnabas_group_generation{group="_other"}`:                                      "",
		`barnabas_group_lag_records{group="_other"}`:                                     "",
		`barnabas_group_lag_records{group="b"}`:                                          "",
		`barnabas_groups{state="Stable"}`:                                                "2",
		`barnabas_groups{state="Empty"}`:                                                 "2",
		`barnabas_groups{state="Dead"}`:                                                  "0",
		`barnabas_group_partitions_loading`:                                              "3",
		`kafka_server_delayedoperationpurgatory_purgatorysize{delayedoperation="Group"}`: "4",
	})
	// A deleted group makes room; its numbers are gone.
	now = nil
	notes(coord.GroupDeleted{Group: "a"}, coord.GroupDeleted{Group: "nobody"})
	m.Group("e").Committed(1)
	check(t, m, map[string]string{
		`barnabas_group_rebalances_total{cause="a member joined",group="a"}`: "",
		`barnabas_group_rebalance_phase_seconds_sum{group="a",phase="join"}`: "",
		`barnabas_group_expired_members_total{group="a"}`:                    "",
		`barnabas_group_commits_total{group="e"}`:                            "1",
		`barnabas_group_members{group="_other"}`:                             "",
	})
}

// A group's name is whatever a client sends.
func TestGroupsWithOddNames(t *testing.T) {
	long := strings.Repeat("x", groupNameMax+1)
	now := []GroupSample{{Name: "\xff", State: "Empty", Members: 1}, {Name: "\xfe", State: "Empty", Members: 2}, {Name: long, State: "Empty", Members: 4}, {Name: "\"quoted\"\n", State: "Empty", Members: 8},
		{Name: "", State: "Empty", Members: 16}, {Name: otherGroups, State: "Empty", Members: 32}}
	m := New(Options{GroupsMax: 10, Sample: func() Sample { return Sample{Groups: now} }})
	for _, g := range now {
		m.Group(g.Name).Committed(1)
		m.GroupNotes([]runtime.TimedNote{{Note: coord.GroupDeleted{Group: g.Name}}})
		m.Group(g.Name).Committed(1)
	}
	check(t, m, map[string]string{
		`barnabas_group_members{group="_other"}`:       "39",
		`barnabas_group_commits_total{group="_other"}`: "8",
		`barnabas_group_members{group="\"quoted\"\n"}`: "8",
		`barnabas_group_members{group=""}`:             "16",
		`barnabas_groups{state="Empty"}`:               "6",
	})
}

// Two metrics of one process must not meet in a global registry, and counting must not allocate.
func TestCountingDoesNotAllocate(t *testing.T) {
	New(Options{})
	m := New(Options{APIName: names, TopicsMax: 1, GroupsMax: 1})
	m.Group("g")
	topic, listener, server := m.Topic("a"), m.Listener("PLAINTEXT"), m.Server("PLAINTEXT")
	server.Request(1, -1, 0, 0, 0, 0)
	m.Request(0, 12)
	m.Error(0, kafka.NotEnoughReplicas)
	if n := testing.AllocsPerRun(1000, func() {
		m.Request(0, 12).Done(1000, 40, Times{Total: time.Millisecond, Remote: time.Microsecond})
		m.Error(0, kafka.None)
		topic.Produced(10, 1000)
		m.Topic("a").Fetched(1000)
		m.Topic("b").Fetched(1000)
		server.Request(1, 17, time.Millisecond, 0, 100, 100)
		server.Produced("a", 100, 1)
		server.Committed("g", 1)
		listener.Opened()
		listener.Closed()
		m.Flushed(3, time.Millisecond)
	}); n != 0 {
		t.Errorf("counting allocates %v times", n)
	}
}

func TestManyGoroutinesCountTogether(t *testing.T) {
	m := New(Options{APIName: names, TopicsMax: 3, Sample: func() Sample { return Sample{} }})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				m.Request(int16(i%2), int16(i%4)).Done(1, 1, Times{})
				m.Error(int16(i%2), kafka.ErrorCode(i%5))
				m.Topic(fmt.Sprint("t", i%5)).Produced(1, 1)
				if i%10 == 0 {
					m.ForgetTopic(fmt.Sprint("t", g))
					scrape(t, m)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, l := range scrape(t, m) {
		var n int
		if strings.HasPrefix(l, "kafka_network_requestmetrics_requests_total{") {
			if _, err := fmt.Sscan(l[strings.LastIndexByte(l, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			total += n
		}
	}
	if total != 800 {
		t.Errorf("counted %d requests of 800", total)
	}
}

// testdata/metrics.txt is what dashboards may rely on: a change of a name shows up in review.
func TestEveryMetricIsListed(t *testing.T) {
	m := New(Options{APIName: names, TopicsMax: 1, GroupsMax: 1, Sample: func() Sample {
		return Sample{Logs: []TopicLogs{{"t", 1, 1}}, Dirs: []Dir{{"/x", false, 1, 1}}, Groups: []GroupSample{{Name: "g", State: "Stable"}}}
	}})
	m.GroupNotes([]runtime.TimedNote{{Note: coord.RebalanceStarted{Group: "g", Trigger: coord.MemberJoined}}})
	m.Request(0, 12).Done(1, 1, Times{})
	m.Error(0, kafka.NotEnoughReplicas)
	m.RejectedBatch(kafka.CorruptMessage)
	m.Topic("t").Produced(1, 1)
	m.Server("PLAINTEXT").BytesOut(1)
	l := m.Listener("PLAINTEXT")
	l.Opened()
	l.Refused(TooMany)
	l.Killed(Idle)
	var b strings.Builder
	for _, line := range scrape(t, m) {
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, text, _ := strings.Cut(help, " ")
			fmt.Fprintf(&b, "%s\n    %s\n", name, text)
		}
	}
	const path = "testdata/metrics.txt"
	if *rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), b.String()); diff != "" {
		t.Errorf("-testdata/metrics.txt +now\n%s", diff)
	}
}

func BenchmarkRequestDone(b *testing.B) {
	m := New(Options{APIName: names})
	b.ReportAllocs()
	for b.Loop() {
		m.Request(0, 12).Done(1000, 40, Times{Total: time.Millisecond, Remote: time.Microsecond})
	}
}
