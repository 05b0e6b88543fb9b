package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TopicBytes is how many bytes of batches were produced to a topic and fetched from it since the start; not ok for a topic that has no series
// of its own.
func (m *Metrics) TopicBytes(name string) (in, out float64, ok bool) {
	t := (*m.topics.Load())[name]
	if t == nil {
		return 0, 0, false
	}
	return read(t.bytesIn), read(t.bytesOut), true
}

func read(c prometheus.Counter) float64 {
	var v dto.Metric
	if c.Write(&v) != nil {
		return 0
	}
	return v.GetCounter().GetValue()
}
