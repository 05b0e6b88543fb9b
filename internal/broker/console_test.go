package broker_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

func getJSON[T any](t testing.TB, b *testkit.Broker, path string) (out T) {
	t.Helper()
	code, body := getPage(t, b, path)
	if code != http.StatusOK {
		t.Fatalf("%s: %d %.300s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s: %v in %.300s", path, err, body)
	}
	return out
}

func getPage(t testing.TB, b *testkit.Broker, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + b.AdminAddress() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// joinAs makes the one member of a group that is given a partition of "t", as a consumer would write it.
func joinAs(t testing.TB, b *testkit.Broker, group, client string) {
	t.Helper()
	c := testkit.Dial(t, b.Addr())
	join := kmsg.NewPtrJoinGroupRequest()
	join.Version, join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 3, group, "consumer", 45000, 45000
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = []string{"t"}
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: meta.AppendTo(nil)}}
	joined := testkit.Do[*kmsg.JoinGroupResponse](c, join)
	if joined.ErrorCode != 0 {
		t.Fatalf("join: %+v", joined)
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.Generation, sync.MemberID = 2, group, joined.Generation, joined.MemberID
	plan := kmsg.NewConsumerMemberAssignment()
	plan.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: []int32{0}}}
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: plan.AppendTo(nil)}}
	if got := testkit.Do[*kmsg.SyncGroupResponse](c, sync); got.ErrorCode != 0 {
		t.Fatalf("sync: %+v", got)
	}
}

func TestConsoleShowsGroupsAndTopics(t *testing.T) {
	b := testkit.Start(t)
	conn := testkit.Dial(t, b.Addr())
	conn.CreateTopic("t", 2)
	for range 5 {
		if got := conn.Produce(9, -1, "t", 0, testkit.Batch(testkit.Record{Value: "v"})); got.ErrorCode != 0 {
			t.Fatalf("%+v", got)
		}
	}
	if code, page := getPage(t, b, "/console/"); code != 200 || !strings.Contains(page, "No group yet.") {
		t.Errorf("no group: %d %.200s", code, page)
	}
	newCommitter(t, b, "<idle>").commit(2)
	joinAs(t, b, "app", "c")

	type group struct {
		Group, State string
		Members      int
		Lag          *int64
		Generation   int32
		MemberList   []struct {
			Host     string
			Assigned []struct {
				Topic      string
				Partitions []int32
			}
		} `json:"member_list"`
		Partitions []struct {
			Topic               string
			Committed, End, Lag *int64
			Owner               string
		}
	}
	idle := getJSON[group](t, b, "/api/v1/group?name="+url.QueryEscape("<idle>"))
	if idle.State != "Empty" || idle.Lag == nil || *idle.Lag != 3 || len(idle.Partitions) != 1 || *idle.Partitions[0].Committed != 2 || *idle.Partitions[0].End != 5 {
		t.Errorf("got %+v", idle)
	}
	app := getJSON[group](t, b, "/api/v1/group?name=app")
	if app.State != "Stable" || app.Members != 1 || app.Generation != 1 || len(app.MemberList) != 1 || len(app.MemberList[0].Assigned) != 1 || app.MemberList[0].Assigned[0].Topic != "t" ||
		len(app.Partitions) != 1 || app.Partitions[0].Owner == "" || app.Partitions[0].Committed != nil || app.Lag != nil {
		t.Errorf("got %+v", app)
	}
	topic := getJSON[struct {
		Partitions     int
		Records, Bytes int64
		Groups         []string
		PartitionList  []struct{ Leader, Start, End int64 } `json:"partition_list"`
	}](t, b, "/api/v1/topic?name=t")
	if topic.Partitions != 2 || topic.Records != 5 || topic.Bytes <= 0 || len(topic.Groups) != 1 || topic.Groups[0] != "<idle>" || len(topic.PartitionList) != 2 || topic.PartitionList[0].End != 5 {
		t.Errorf("got %+v", topic)
	}
	for path, want := range map[string]string{"/console/group?name=app": "Stable", "/console/group?name=%3Cidle%3E": "&lt;idle&gt;", "/console/topics": ">t</a>", "/console/topic?name=t": "&lt;idle&gt;"} {
		if code, page := getPage(t, b, path); code != 200 || !strings.Contains(page, want) {
			t.Errorf("%s: %d without %q", path, code, want)
		}
	}
	if code, _ := getPage(t, b, "/console/group?name=nobody"); code != 404 {
		t.Errorf("a group that is not there: %d", code)
	}
}

func TestConsoleHearsOfChangesAndCloses(t *testing.T) {
	b := testkit.Start(t)
	testkit.Dial(t, b.Addr()).CreateTopic("t", 1)
	newCommitter(t, b, "warm") // __consumer_offsets is there, and loaded
	news := listen(t, b)
	joinAs(t, b, "app", "c")
	for heard := false; !heard; {
		select {
		case line := <-news:
			heard = strings.Contains(line, `"app"`)
		case <-time.After(20 * time.Second):
			t.Fatal("nobody told the page that a group changed")
		}
	}
	began := time.Now()
	b.Stop()
	for range news { // until the stream ends
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("an open page held the broker up for %v", took)
	}
}

// listen opens the stream of changes, as a page does; the channel is closed when it ends.
func listen(t testing.TB, b *testkit.Broker) <-chan string {
	t.Helper()
	r, err := http.Get("http://" + b.AdminAddress() + "/console/events")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		defer r.Body.Close()
		for in := bufio.NewScanner(r.Body); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines
}

// Rebalances are shown as they happen, with their cause, and are there again after a restart.
func TestConsoleShowsIncidentsAcrossARestart(t *testing.T) {
	b := testkit.Start(t)
	testkit.Dial(t, b.Addr()).CreateTopic("t", 1)
	newCommitter(t, b, "warm")
	joinAs(t, b, "app", "c")
	type page struct {
		Incidents []struct {
			Incident, Cause, Stage, Title string
			Ended                         *string
		}
	}
	news := listen(t, b)
	var first page
	for len(first.Incidents) == 0 || first.Incidents[0].Ended == nil {
		first = getJSON[page](t, b, "/api/v1/incidents?group=app")
		select {
		case <-news: // of any group, or the tick that comes without
		case <-time.After(20 * time.Second):
			t.Fatalf("no incident: %+v", first)
		}
	}
	if in := first.Incidents[len(first.Incidents)-1]; in.Cause != "C01" {
		t.Errorf("the first is %+v", in)
	}
	if _, p := getPage(t, b, "/console/group?name=app"); !strings.Contains(p, "<b>C01</b> first start") {
		t.Error("the group's page does not show it")
	}
	row := getJSON[struct {
		Groups []struct {
			Rebalances int
			LastCause  string `json:"last_cause"`
		}
	}](t, b, "/api/v1/groups?q=app").Groups
	if len(row) != 1 || row[0].Rebalances < 1 || row[0].LastCause == "" {
		t.Errorf("in the list: %+v", row)
	}
	b.Restart()
	b.Logs.Await(t, "rebalances from before the start are at hand")
	again := getJSON[page](t, b, "/api/v1/incidents?group=app")
	if len(again.Incidents) == 0 {
		t.Fatal("after the restart there are none")
	}
	if got, want := again.Incidents[len(again.Incidents)-1].Incident, first.Incidents[len(first.Incidents)-1].Incident; got != want {
		t.Errorf("after the restart the first is %s, it was %s", got, want)
	}
}
