package driver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/local"
	"github.com/barnabas-mq/barnabas/internal/meta/memory"
)

// rules takes every setting but "bad", and has a bug.
type rules struct{}

func (rules) ValidateTopic(m map[string]string) (map[string]string, error) {
	if _, bug := m["bug"]; bug {
		panic("a bug")
	}
	if _, bad := m["bad"]; bad {
		return nil, errors.New("bad is not a setting")
	}
	return m, nil
}
func (rules) ValidateBroker(_ bool, m map[string]string) (map[string]string, error) { return m, nil }
func (rules) List(_ meta.ResourceType, name string) (bool, string) {
	return name == "cleanup.policy", "delete"
}

// recorder notes what OnChange is told, and can be made to fail or to wait.
type recorder struct {
	mu    sync.Mutex
	lines []string
	fail  error
	hold  chan struct{} // if not nil, OnChange waits for it
}

func (r *recorder) onChange(im *meta.Image, c meta.Changes) error {
	r.mu.Lock()
	hold, fail := r.hold, r.fail
	for _, p := range c.Partitions {
		switch {
		case p.Old == nil:
			r.lines = append(r.lines, fmt.Sprintf("+%s-%d", p.Topic.Name, p.Partition))
		case p.New == nil:
			r.lines = append(r.lines, fmt.Sprintf("-%s-%d", p.Topic.Name, p.Partition))
		}
	}
	for _, res := range c.Configs {
		r.lines = append(r.lines, fmt.Sprintf("conf %s %v", res, im.Settings(res)))
	}
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return fail
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = nil
	return lines
}

func start(t testing.TB, store meta.Store, r *recorder) *Driver {
	t.Helper()
	d, err := Start(t.Context(), Config{
		Store: store, Settings: controller.DefaultSettings(1), Configs: rules{}, OnChange: r.onChange,
		Registration: meta.Registration{Incarnation: "i", Listeners: []meta.Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "h", Port: 9092}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func want(t testing.TB, r controller.Result, code kafka.ErrorCode) {
	t.Helper()
	if r.Code != code {
		t.Fatalf("got %v (%s), want %v", r.Code, r.Message, code)
	}
}

func create(name string, partitions int32) controller.CreateTopicsRequest {
	return controller.CreateTopicsRequest{Topics: []controller.NewTopic{{Name: name, Partitions: partitions, ReplicationFactor: -1}}}
}

func TestAnswerComesAfterOnChangeAndPublishing(t *testing.T) {
	r := &recorder{}
	d := start(t, memory.New(), r)
	if d.Image().ClusterID() == "" || d.Image().Broker(1) == nil {
		t.Fatal("the broker is not registered after Start")
	}
	want(t, d.CreateTopics(t.Context(), create("orders", 2))[0].Result, kafka.None)
	if got := r.take(); !slices.Equal(got, []string{"+orders-0", "+orders-1"}) {
		t.Fatalf("OnChange heard %q", got)
	}
	topic := d.Image().Topic("orders")
	if topic == nil || d.Image().TopicByID(topic.ID) != topic || topic.Partition(1).Leader != 1 {
		t.Fatalf("the image shows %+v", topic)
	}
	v := "compact"
	want(t, d.IncrementalAlterConfigs(t.Context(), controller.AlterConfigsRequest{Resources: []controller.AlterResource{
		{Type: meta.TopicResource, Name: "orders", Configs: []controller.AlterConfig{{Name: "cleanup.policy", Op: controller.ConfigAppend, Value: &v}}},
	}})[0].Result, kafka.None)
	if got := r.take(); !slices.Equal(got, []string{"conf TOPIC orders [{cleanup.policy delete,compact}]"}) {
		t.Fatalf("OnChange heard %q", got)
	}
	want(t, d.CreatePartitions(t.Context(), controller.CreatePartitionsRequest{Topics: []controller.MorePartitions{{Name: "orders", Count: 3}}})[0].Result, kafka.None)
	want(t, d.DeleteTopics(t.Context(), []controller.TopicRef{{ID: topic.ID}})[0].Result, kafka.None)
	if got := r.take(); !slices.Equal(got, []string{"+orders-2", "-orders-0", "-orders-1", "-orders-2", "conf TOPIC orders []"}) {
		t.Fatalf("OnChange heard %q", got)
	}
	if d.Image().NumTopics() != 0 || d.Image().NumPartitions() != 0 {
		t.Fatal("the topic is still there")
	}
}

func TestRestartHandsOverEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	var image1 *meta.Image
	for round := range 2 {
		store, err := local.Open(path, local.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{}
		d := start(t, store, r)
		if round == 0 {
			for _, name := range []string{"b", "a"} {
				want(t, d.CreateTopics(t.Context(), create(name, 1))[0].Result, kafka.None)
			}
			image1 = d.Image()
		} else {
			if got := r.take(); !slices.Equal(got, []string{"+a-0", "+b-0"}) {
				t.Fatalf("OnChange heard %q", got)
			}
			im := d.Image()
			if im.ClusterID() != image1.ClusterID() || im.Topic("a").ID != image1.Topic("a").ID {
				t.Fatal("ids changed over a restart")
			}
			if im.Broker(1).Epoch <= image1.Broker(1).Epoch {
				t.Fatalf("broker epoch %d does not follow %d", im.Broker(1).Epoch, image1.Broker(1).Epoch)
			}
		}
		d.Close()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongClusterIsRefused(t *testing.T) {
	store := memory.New()
	start(t, store, &recorder{})
	_, err := Start(t.Context(), Config{Store: store, Settings: controller.DefaultSettings(1), Configs: rules{}, ClusterID: "another"})
	if err == nil {
		t.Fatal("data of another cluster was taken")
	}
}

func TestEnsureTopicFromManyAtOnce(t *testing.T) {
	r := &recorder{}
	d := start(t, memory.New(), r)
	var wg sync.WaitGroup
	ids := make([]kafka.TopicID, 20)
	for i := range ids {
		wg.Go(func() {
			res := d.EnsureTopic(t.Context(), "auto")
			if !res.OK() {
				t.Errorf("%v %s", res.Code, res.Message)
			}
			ids[i] = res.ID
		})
	}
	wg.Wait()
	if ids = slices.Compact(ids); len(ids) != 1 || ids[0].IsZero() {
		t.Fatalf("different callers got different topics: %v", ids)
	}
	if got := r.take(); !slices.Equal(got, []string{"+auto-0"}) {
		t.Fatalf("OnChange heard %q", got)
	}
	want(t, d.EnsureTopic(t.Context(), "not a name").Result, kafka.InvalidTopicException)
}

func TestProducerIDsAreUniqueAlsoOverTwoBrokersAndRestarts(t *testing.T) {
	store := memory.New()
	var mu sync.Mutex
	seen := map[int64]bool{}
	for range 2 {
		var wg sync.WaitGroup
		for range 2 {
			d := start(t, store, &recorder{})
			for range 4 {
				wg.Go(func() {
					for range 700 {
						id, err := d.NextProducerID(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						if seen[id] {
							t.Errorf("producer id %d was given twice", id)
						}
						seen[id] = true
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
	}
	if len(seen) != 2*2*4*700 {
		t.Fatalf("%d ids", len(seen))
	}
}

func TestTwoDriversOnOneStoreNeverContradict(t *testing.T) {
	store := memory.New()
	a, b := start(t, store, &recorder{}), start(t, store, &recorder{})
	var wg sync.WaitGroup
	made := make([]int, 2)
	for n, d := range []*Driver{a, b} {
		wg.Go(func() {
			for i := range 100 {
				switch r := d.CreateTopics(t.Context(), create(fmt.Sprintf("t%d", i), 1))[0]; r.Code {
				case kafka.None:
					made[n]++
				case kafka.TopicAlreadyExists:
				default:
					t.Errorf("%v %s", r.Code, r.Message)
				}
			}
		})
	}
	wg.Wait()
	if made[0]+made[1] != 100 {
		t.Fatalf("%v topics were made, want 100 in all", made)
	}
	// The last word is the store's: both end with the same topics.
	want(t, a.EnsureTopic(t.Context(), "end-a").Result, kafka.None)
	want(t, b.EnsureTopic(t.Context(), "end-b").Result, kafka.None)
	for i := range 100 {
		name := fmt.Sprintf("t%d", i)
		if x, y := a.Image().Topic(name), b.Image().Topic(name); x == nil || y == nil || x.ID != y.ID {
			t.Fatalf("%s differs: %v %v", name, x, y)
		}
	}
}

func TestFailedOnChangeIsTold(t *testing.T) {
	r := &recorder{}
	d := start(t, memory.New(), r)
	r.mu.Lock()
	r.fail = errors.New("disk gone")
	r.mu.Unlock()
	got := d.CreateTopics(t.Context(), controller.CreateTopicsRequest{Topics: []controller.NewTopic{
		{Name: "a", Partitions: 1, ReplicationFactor: 1}, {Name: "b", Partitions: 0, ReplicationFactor: 1}}})
	want(t, got[0].Result, kafka.KafkaStorageError)
	want(t, got[1].Result, kafka.InvalidPartitions)
	if d.Image().Topic("a") == nil {
		t.Fatal("the committed topic is not in the image")
	}
}

func TestDeadlineAnswersInTimeAndTheChangeMayStillHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{hold: make(chan struct{})}
		store := memory.New()
		close(r.hold)
		d := start(t, store, r)
		hold := make(chan struct{})
		r.mu.Lock()
		r.hold = hold
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		want(t, d.CreateTopics(ctx, create("slow", 1))[0].Result, kafka.RequestTimedOut)
		if took := time.Since(begin); took != time.Second {
			t.Fatalf("answered after %v", took)
		}
		want(t, d.DeleteTopics(ctx, []controller.TopicRef{{}})[0].Result, kafka.RequestTimedOut)
		_, err := d.NextProducerID(ctx)
		want(t, AsProducerIDError(err), kafka.RequestTimedOut)
		close(hold)
		synctest.Wait()
		if d.Image().Topic("slow") == nil {
			t.Fatal("the change was lost")
		}
		d.Close()
	})
}

func TestClosedDriverAnswersAtOnce(t *testing.T) {
	d := start(t, memory.New(), &recorder{})
	d.Close()
	want(t, d.CreateTopics(t.Context(), create("x", 1))[0].Result, kafka.NotController)
	want(t, d.CreatePartitions(t.Context(), controller.CreatePartitionsRequest{Topics: []controller.MorePartitions{{Name: "x"}}})[0].Result, kafka.NotController)
	want(t, d.AlterConfigs(t.Context(), controller.AlterConfigsRequest{Resources: []controller.AlterResource{{Type: meta.TopicResource, Name: "x"}}})[0].Result, kafka.NotController)
	_, err := d.NextProducerID(t.Context())
	want(t, AsProducerIDError(err), kafka.NotController)
}

func TestClosedStoreIsAStorageError(t *testing.T) {
	store := memory.New()
	d := start(t, store, &recorder{})
	store.Close()
	want(t, d.CreateTopics(t.Context(), create("x", 1))[0].Result, kafka.KafkaStorageError)
}

func TestBugInOneRequestHurtsNoOther(t *testing.T) {
	d := start(t, memory.New(), &recorder{})
	v := "x"
	req := create("a", 1)
	req.Topics[0].Configs = []controller.NewTopicSetting{{Name: "bug", Value: &v}}
	want(t, d.CreateTopics(t.Context(), req)[0].Result, kafka.UnknownServerError)
	want(t, d.CreateTopics(t.Context(), create("a", 1))[0].Result, kafka.None)
}

func TestUnreadableChangeStopsDecidingButNotReading(t *testing.T) {
	store := memory.New()
	d := start(t, store, &recorder{})
	want(t, d.CreateTopics(t.Context(), create("a", 1))[0].Result, kafka.None)
	if _, err := store.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put("topics/"+d.Image().Topic("a").ID.Hex(), []byte(`{"v":2}`))}}); err != nil {
		t.Fatal(err)
	}
	res := d.CreateTopics(t.Context(), create("b", 1))[0]
	want(t, res.Result, kafka.KafkaStorageError)
	if d.Image().Topic("a") == nil {
		t.Fatal("what was known is gone")
	}
	if _, err := Start(t.Context(), Config{Store: store, Settings: controller.DefaultSettings(1), Configs: rules{}}); !errors.As(err, new(*meta.NewerVersionError)) {
		t.Fatalf("a start on metadata of a newer build: %v", err)
	}
}

func TestContradictionIsAnErrorNotALoop(t *testing.T) {
	store := memory.New()
	d := start(t, store, &recorder{})
	if _, err := store.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Put(meta.NameKey("ghost"), meta.EncodeName("ghost", kafka.TopicID{1}))}}); err != nil {
		t.Fatal(err)
	}
	want(t, d.CreateTopics(t.Context(), create("ghost", 1))[0].Result, kafka.UnknownServerError)
	want(t, d.CreateTopics(t.Context(), create("real", 1))[0].Result, kafka.None)
}

func TestStoreThatLostAPartIsRefused(t *testing.T) {
	store := memory.New()
	d := start(t, store, &recorder{})
	want(t, d.CreateTopics(t.Context(), create("a", 3))[0].Result, kafka.None)
	id := d.Image().Topic("a").ID
	d.Close()
	if _, err := store.Txn(t.Context(), meta.Txn{Do: []meta.Op{meta.Delete(meta.PartitionKey(id, 1))}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Store: store, Settings: controller.DefaultSettings(1), Configs: rules{}}); err == nil {
		t.Fatal("a topic without one of its partitions would have been forgotten, and its logs with it")
	}
}

func TestFailedOnChangeEndsTheStart(t *testing.T) {
	gone := errors.New("disk gone")
	_, err := Start(t.Context(), Config{Store: memory.New(), Settings: controller.DefaultSettings(1), Configs: rules{},
		OnChange: func(*meta.Image, meta.Changes) error { return gone }})
	if !errors.Is(err, gone) {
		t.Fatal(err)
	}
}

// gate lets a test hold back what a watcher delivers, so that changes can be compacted away underneath it.
type gate struct {
	*memory.Store
	open chan struct{}
}

func (g *gate) Watch(ctx context.Context, prefix string, from meta.Revision) (meta.Watcher, error) {
	w, err := g.Store.Watch(ctx, prefix, from)
	return &gatedWatcher{w, g.open}, err
}

type gatedWatcher struct {
	meta.Watcher
	open chan struct{}
}

func (w *gatedWatcher) Next(ctx context.Context) (meta.Batch, error) {
	select {
	case <-w.open:
	case <-ctx.Done():
		return meta.Batch{}, ctx.Err()
	}
	return w.Watcher.Next(ctx)
}

func TestMissedChangesAreReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{memory.New(), make(chan struct{})}
		other := start(t, g.Store, &recorder{})
		want(t, other.CreateTopics(t.Context(), create("goes", 1))[0].Result, kafka.None)
		r := &recorder{}
		d := start(t, g, r)
		r.take()
		want(t, other.DeleteTopics(t.Context(), []controller.TopicRef{{ID: d.Image().Topic("goes").ID}})[0].Result, kafka.None)
		want(t, other.CreateTopics(t.Context(), create("comes", 1))[0].Result, kafka.None)
		g.Compact(other.Image().Revision())
		close(g.open)
		synctest.Wait()
		if got := r.take(); !slices.Equal(got, []string{"-goes-0", "+comes-0"}) {
			t.Fatalf("OnChange heard %q", got)
		}
		if diff := cmp.Diff(other.Image().Revision(), d.Image().Revision()); diff != "" {
			t.Fatal(diff)
		}
		d.Close()
		other.Close()
	})
}

func BenchmarkCreateTopicOnDisk(b *testing.B) {
	store, err := local.Open(filepath.Join(b.TempDir(), "meta.db"), local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	d := start(b, store, &recorder{})
	i := 0
	for b.Loop() {
		if r := d.CreateTopics(b.Context(), create(fmt.Sprintf("t%d", i), 1))[0]; !r.OK() {
			b.Fatal(r.Message)
		}
		i++
	}
	b.StopTimer()
	d.Close()
}
