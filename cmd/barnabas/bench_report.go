package main

import (
	"fmt"
	"io"
	"time"

	"github.com/barnabas-mq/barnabas/internal/loadgen"
)

// meter holds what was read of both processes at the ends of the counted interval.
type meter struct {
	clientBefore, clientAfter time.Duration
	clientOK                  bool
	brokerBefore, brokerAfter processSample
	brokerErr                 error
}

// processSample is what /proc says of a process.
type processSample struct {
	cpu     time.Duration // user and system
	rssPeak int64         // bytes; the most it ever had
}

func (m *meter) sample(pid int, begin bool) {
	cpu, ok := ownCPU()
	var p processSample
	if pid != 0 {
		var err error
		if p, err = sampleProcess(pid); err != nil && m.brokerErr == nil {
			m.brokerErr = err
		}
	}
	if begin {
		m.clientBefore, m.clientOK, m.brokerBefore = cpu, ok, p
	} else {
		m.clientAfter, m.brokerAfter = cpu, p
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// fill puts the result of a run into the report.
func (r *benchReport) fill(res *loadgen.Result, b *benchFlags, m *meter) {
	r.ElapsedSeconds = res.Elapsed.Seconds()
	r.Records, r.Bytes, r.Errors = res.Records, res.Bytes, res.Errors
	if r.ElapsedSeconds > 0 {
		r.RecordsPerSecond = float64(r.Records) / r.ElapsedSeconds
		r.MegabytesPerSecond = float64(r.Bytes) / 1e6 / r.ElapsedSeconds
	}
	if res.Err != nil {
		r.Error = oneLine(res.Err.Error())
	}
	if h := res.Latency; h != nil {
		r.LatencyMs = &benchLatency{ms(h.Quantile(0.5)), ms(h.Quantile(0.9)), ms(h.Quantile(0.95)), ms(h.Quantile(0.99)), ms(h.Quantile(0.999)),
			ms(h.Max()), ms(h.Mean()), h.Count()}
	}
	if b.kind == "consume" {
		first := ms(res.FirstRecord)
		r.Fetches, r.FirstRecordMs = &res.Requests, &first
	}
	if m.clientOK {
		s := (m.clientAfter - m.clientBefore).Seconds()
		r.ClientCPUSeconds = &s
	}
	if b.pid != 0 && m.brokerErr == nil && r.Bytes > 0 {
		s := (m.brokerAfter.cpu - m.brokerBefore.cpu).Seconds()
		r.Broker = &benchBroker{PID: b.pid, CPUSeconds: s, CPUMsPerMB: s * 1e3 / (float64(r.Bytes) / 1e6),
			CPUUsPerRecord: s * 1e6 / float64(r.Records), RSSPeakMiB: float64(m.brokerAfter.rssPeak) / (1 << 20)}
	}
}

func (a *app) drawBench(w io.Writer, r *benchReport) {
	s := r.Settings
	a.title(w, "%s %s: %d partitions, %d clients, records of %s", r.Kind, s.Topic, s.Partitions, s.Clients, humanBytes(int64(s.RecordBytes)))
	kv := []any{"records", humanCount(r.Records), "elapsed", fmt.Sprintf("%.3f s", r.ElapsedSeconds),
		"throughput", fmt.Sprintf("%s records/s, %.1f MB/s", humanCount(int64(r.RecordsPerSecond)), r.MegabytesPerSecond)}
	if r.Kind != "consume" {
		kv = append(kv, "acks", fmt.Sprintf("%s, idempotent: %v, codec: %s", s.Acks, s.Idempotent, s.Codec))
	}
	if r.Fetches != nil {
		kv = append(kv, "fetches", humanCount(*r.Fetches), "first record", fmt.Sprintf("%.2f ms", *r.FirstRecordMs))
	}
	if r.ClientCPUSeconds != nil {
		kv = append(kv, "client CPU", fmt.Sprintf("%.2f s", *r.ClientCPUSeconds))
	}
	if b := r.Broker; b != nil {
		kv = append(kv, "broker CPU", fmt.Sprintf("%.2f s, %.3f ms/MB, %.2f us/record", b.CPUSeconds, b.CPUMsPerMB, b.CPUUsPerRecord),
			"broker RSS", fmt.Sprintf("%.1f MiB at its peak", b.RSSPeakMiB))
	}
	if r.Errors > 0 {
		kv = append(kv, "errors", r.Errors)
	}
	kv = append(kv, "seed", r.Seed)
	pairs(w, kv...)
	if l := r.LatencyMs; l != nil {
		fmt.Fprintln(w)
		t := newTable(">P50 MS", ">P90", ">P95", ">P99", ">P99.9", ">MAX", ">MEAN")
		f := func(v float64) string { return fmt.Sprintf("%.3f", v) }
		t.row(f(l.P50), f(l.P90), f(l.P95), f(l.P99), f(l.P999), f(l.Max), f(l.Mean))
		t.draw(w, a.paint)
	}
}
