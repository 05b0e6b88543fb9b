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
	addr, topic string
	stop        context.CancelFunc
	done        chan struct{}

	mu         sync.Mutex
	cl, old    *kgo.Client
	partitions int
	truth      Truth
	err        error
}

// NewWriter starts to write.
func NewWriter(addr, topic string, partitions int) (*Writer, error) {
	cl, err := writerClient(addr, topic)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{cl: cl, addr: addr, topic: topic, stop: stop, done: make(chan struct{}), partitions: partitions, truth: make(Truth, partitions)}
	go w.run(ctx)
	return w, nil
}

func writerClient(addr, topic string) (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("writer"), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.UnknownTopicRetries(-1)) // a topic that was made a moment ago
}

// Grow writes to more partitions from now on. The broker must know them: a client that does not would refuse the records, so it is a new one.
func (w *Writer) Grow(partitions int) error {
	cl, err := writerClient(w.addr, w.topic)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.old, w.cl, w.partitions = w.cl, cl, partitions
	for len(w.truth) < partitions {
		w.truth = append(w.truth, nil)
	}
	return nil
}

// Err is what went wrong so far.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Stop ends the writing and tells all that was acknowledged.
func (w *Writer) Stop() (Truth, error) {
	w.stop()
	<-w.done
	w.cl.Close()
	if w.old != nil {
		w.old.Close()
	}
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
		cl, partitions := w.cl, w.partitions
		w.mu.Unlock()
		batch := make([]*kgo.Record, partitions)
		for p := range batch {
			batch[p] = &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, "%d/%d", p, n)}
		}
		// A batch that was begun is finished, so that the truth has every record that may be in the log.
		for _, r := range cl.ProduceSync(context.Background(), batch...) {
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
