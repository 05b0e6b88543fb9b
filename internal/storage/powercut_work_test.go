package storage_test

import (
	"slices"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/storage"
)

// What the lives of the power-cut suite do between opening and end.

// work draws steps until the life ends or enough was done.
func (p *powerCut) work() {
	for range 30 + p.rng.IntN(60) {
		if p.err != nil || p.ended() {
			return
		}
		var live []*cutLog
		for _, l := range p.logs {
			if l.state == cutLive {
				live = append(live, l)
			}
		}
		if len(live) == 0 {
			p.create()
			continue
		}
		l := pick(p, live...)
		p.draws([]share{
			{p.mix.create, p.create},
			{p.mix.append, func() { p.append(l) }},
			{p.mix.flush, func() { p.flush(live) }},
			{p.mix.retry, func() { p.retry(l) }},
			{p.mix.deleteRecords, func() { p.deleteRecords(l) }},
			{p.mix.newEpoch, func() { p.newEpoch(l) }},
			{p.mix.deleteLog, func() { p.deleteLog(l) }},
			{p.mix.truncate, func() { p.truncate(l) }},
			{p.mix.seal, func() { p.seal(l) }},
			{p.mix.pass, p.pass},
		})
		if !p.chance(4) {
			p.settle() // else the next step meets the background work of this one
		}
	}
}

type share struct {
	of int
	do func()
}

// draws does one of several things.
func (p *powerCut) draws(shares []share) {
	all := 0
	for _, s := range shares {
		all += s.of
	}
	n := p.rng.IntN(all)
	for i, s := range shares {
		if n -= s.of; n >= 0 {
			continue
		}
		if i == p.aim.kind {
			if p.aim.nth--; p.aim.nth == 0 {
				p.mu.Lock()
				p.cutAt = p.ops + p.aim.ops
				p.mu.Unlock()
			}
		}
		s.do()
		return
	}
}

// seal does what the sealer has not come to so far.
func (p *powerCut) seal(l *cutLog) {
	if !p.byHand {
		p.append(l)
		return
	}
	p.step("seal %v", l.tp)
	p.done("seal", l.log.Seal())
}

func (p *powerCut) pass() {
	d := time.Duration(1+p.rng.IntN(30)) * time.Second
	p.step("%v pass", d)
	time.Sleep(d)
}

// settle waits until nothing runs.
func (p *powerCut) settle() { synctest.Wait() }

func (p *powerCut) create() {
	tp := kafka.TopicPartition{Topic: pick(p, "a", "b", "c"), Partition: int32(p.rng.IntN(p.mix.partitions))}
	for _, l := range p.logs {
		if l.tp == tp && l.state != cutGone {
			return
		}
	}
	p.nextID++
	l := &cutLog{tp: tp, id: kafka.TopicID{byte(p.nextID >> 8), byte(p.nextID)}, epoch: -1, epochMax: -1, epochFrom: noOffset}
	p.mu.Lock()
	p.logs = append(p.logs, l)
	p.mu.Unlock()
	p.step("create %v", tp)
	log, err := p.store.Create(tp, l.id, p.topics[tp.Topic])
	if p.done("create", err) {
		log.SetUserData(l)
		l.log, l.state = log, cutLive
	}
}

func (p *powerCut) deleteLog(l *cutLog) {
	p.step("delete %v", l.tp)
	p.mu.Lock()
	l.state = cutDooming
	p.mu.Unlock()
	if p.done("delete", p.store.Delete(l.tp)) {
		l.state = cutGone
	}
}

func (p *powerCut) append(l *cutLog) {
	o := batch.Options{}
	var producer *cutProducer
	if p.chance(2) {
		if n := len(l.producers); n == 0 || n < 3 && p.chance(4) {
			p.nextID++
			l.producers = append(l.producers, &cutProducer{id: p.nextID})
		}
		producer = pick(p, l.producers...)
		o.Producer = &batch.Producer{ID: producer.id, BaseSequence: producer.next}
	}
	p.builder.Reset(o)
	records := 1 + p.rng.IntN(4)
	for range records {
		key := []byte{byte('k'), byte('a' + p.rng.IntN(8))}
		value := make([]byte, pick(p, 0, 10, 100))
		for i := range value {
			value[i] = byte('a' + p.rng.IntN(26))
		}
		if p.chance(8) {
			value = nil
		}
		if err := p.builder.Append(time.Now().UnixMilli(), key, value, nil); err != nil {
			p.fail("build a batch: %w", err)
			return
		}
	}
	p.appendBuilt(l, producer, records, storage.Client)
}

// appendBuilt appends the batch that was put into the builder.
func (p *powerCut) appendBuilt(l *cutLog, producer *cutProducer, records int, origin storage.Origin) {
	raw, err := p.builder.Build()
	if err != nil {
		p.fail("build a batch: %w", err)
		return
	}
	epoch := max(l.epoch, 0)
	b := &cutBatch{base: l.end(), last: l.end() + int64(records) - 1, raw: slices.Clone(raw), producer: producer}
	b.raw.SetBaseOffset(b.base)
	b.raw.SetLeaderEpoch(epoch)
	l.batches = append(l.batches, b)
	l.epochMax = max(l.epochMax, epoch)
	if producer != nil {
		producer.next += int32(records)
		producer.known = min(producer.known+1, 5)
	}
	p.stats.appended++
	p.step("append %d..%d to %v, %d bytes", b.base, b.last, l.tp, len(b.raw))
	r, err := l.log.Append(slices.Clone(raw), storage.AppendOptions{LeaderEpoch: epoch, Origin: origin, NowMs: time.Now().UnixMilli()})
	if !p.done("append", err) {
		return // it may be there or not
	}
	if r.BaseOffset != b.base || r.LastOffset != b.last || r.Duplicate {
		p.fail("append to %v: got %+v, want offsets %d to %d", l.tp, r, b.base, b.last)
	}
	if l.epoch < epoch || l.epochFrom == noOffset {
		l.epoch, l.epochFrom = epoch, b.base
	}
}

func (p *powerCut) flush(live []*cutLog) {
	n := 1
	if p.chance(3) {
		n = len(live)
	}
	p.step("flush %d logs", n)
	for _, i := range p.rng.Perm(len(live))[:n] {
		live[i].log.WantFlush()
	}
	if !p.chance(5) {
		p.settle()
	}
}

// retry sends again one of the last batches of some producer, as if its answer had been lost.
func (p *powerCut) retry(l *cutLog) {
	if len(l.producers) == 0 {
		return
	}
	if producer := pick(p, l.producers...); producer.known > 0 {
		p.again(l, producer, p.rng.IntN(producer.known))
	}
}

// again sends the n-th last batch of a producer again, if the log has it.
func (p *powerCut) again(l *cutLog, producer *cutProducer, n int) {
	for _, b := range slices.Backward(l.batches) {
		if b.producer != producer {
			continue
		}
		if n > 0 && b.last < l.log.StartOffset() {
			return // only the last batch of each producer outlives its records
		}
		if n--; n >= 0 {
			continue
		}
		p.step("send %d..%d of %v again", b.base, b.last, l.tp)
		r, err := l.log.Append(slices.Clone(b.raw), storage.AppendOptions{LeaderEpoch: max(l.epoch, 0), NowMs: time.Now().UnixMilli()})
		if !p.done("append of a batch sent again", err) {
			return
		}
		if !r.Duplicate || r.BaseOffset != b.base || r.LastOffset != b.last {
			p.fail("a batch of %v, sent again, got %+v, want a duplicate of %d to %d", l.tp, r, b.base, b.last)
		}
		p.stats.duplicates++
		return
	}
}

func (p *powerCut) deleteRecords(l *cutLog) {
	p.mu.Lock()
	from, to := l.log.StartOffset(), l.durable
	p.mu.Unlock()
	if to <= from {
		return
	}
	at := from + 1 + p.rng.Int64N(to-from)
	p.step("delete records of %v below %d", l.tp, at)
	l.startMax = max(l.startMax, at)
	if p.done("delete records", l.log.AdvanceStart(at)) {
		l.start = max(l.start, at)
	}
}

func (p *powerCut) newEpoch(l *cutLog) {
	l.epochMax++
	p.step("epoch %d of %v begins at %d", l.epochMax, l.tp, l.end())
	if p.done("assign epoch", l.log.AssignEpoch(l.epochMax, l.end())) {
		l.epoch, l.epochFrom = l.epochMax, l.end()
	}
}

// truncate cuts some batches off, as a follower does whose leader never had them.
func (p *powerCut) truncate(l *cutLog) {
	n := len(l.batches) - p.rng.IntN(4)
	if n < 0 || endOf(l.batches[:n]) < l.log.StartOffset() {
		return
	}
	p.cutOff(l, n)
}

// cutOff truncates the log to its first n batches.
func (p *powerCut) cutOff(l *cutLog, n int) {
	p.mu.Lock()
	l.uncut, l.cutTo = l.batches, endOf(l.batches[:n])
	l.batches = slices.Clone(l.batches[:n])
	p.mu.Unlock()
	if l.epochFrom >= l.cutTo || l.log.StartOffset() >= l.cutTo {
		l.epochFrom = noOffset
	}
	p.step("truncate %v to %d", l.tp, l.cutTo)
	if p.done("truncate", l.log.TruncateTo(l.cutTo)) {
		p.mu.Lock()
		l.uncut, l.durable = nil, min(l.durable, l.cutTo)
		p.mu.Unlock()
		p.rewind(l)
	}
}

// rewind gives the producers the sequence that follows their last batch in the log.
func (p *powerCut) rewind(l *cutLog) {
	for _, producer := range l.producers {
		producer.next, producer.known = 0, 0
	}
	for _, b := range l.batches {
		if b.producer != nil {
			b.producer.next, b.producer.known = b.raw.LastSequence()+1, 1
		}
	}
}
