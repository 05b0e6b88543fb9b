package groups

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Writer writes one record after the other into every partition of a topic, ten a second each, for as long as a scenario lasts.
type Writer struct {
	cl    *kgo.Client
	topic string
	stop  context.CancelFunc
	done  chan struct{}

	mu         sync.Mutex
	partitions int
	truth      Truth
	err        error
}

// NewWriter starts to write.
func NewWriter(addr, topic string, partitions int) (*Writer, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("writer"), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(500*time.Millisecond), kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{cl: cl, topic: topic, stop: stop, done: make(chan struct{}), partitions: partitions, truth: make(Truth, partitions)}
	go w.run(ctx)
	return w, nil
}

// Grow writes to more partitions from now on.
func (w *Writer) Grow(partitions int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.partitions = partitions
	for len(w.truth) < partitions {
		w.truth = append(w.truth, nil)
	}
}

// Stop ends the writing and tells all that was acknowledged.
func (w *Writer) Stop() (Truth, error) {
	w.stop()
	<-w.done
	w.cl.Close()
	return w.truth, w.err
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		partitions := w.partitions
		w.mu.Unlock()
		batch := make([]*kgo.Record, partitions)
		for p := range batch {
			batch[p] = &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, "%d/%d", p, n)}
		}
		// A batch that was begun is finished, so that the truth has every record that may be in the log.
		for _, r := range w.cl.ProduceSync(context.Background(), batch...) {
			w.mu.Lock()
			switch p := r.Record.Partition; {
			case r.Err != nil:
				w.err = errors.Join(w.err, fmt.Errorf("write to %s-%d: %w", w.topic, p, r.Err))
			case r.Record.Offset != int64(len(w.truth[p])):
				w.err = errors.Join(w.err, fmt.Errorf("%s-%d: record %d got offset %d", w.topic, p, len(w.truth[p]), r.Record.Offset))
			default:
				w.truth[p] = append(w.truth[p], string(r.Record.Value))
			}
			failed := w.err != nil
			w.mu.Unlock()
			if failed {
				return
			}
		}
	}
}
