package storage_test

import (
	"bytes"
	"context"
	"testing/synctest"
	"time"

	"github.com/barnabas-mq/barnabas/internal/batch"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// The scripts. Segments hold four batches of put, and are sealed only where the script says so.

var powerCutScripts = []powerCutScript{
	{
		name:    "compaction",
		catches: []string{"(*Log).swap", "(*Log).finishSwap", "(*cleaned).finish"},
		compact: true,
		before: func(p *powerCut, l *cutLog) {
			p.fill(l, 12)
			p.store.CleanOnce() // so that there are small segments, which the next round joins
			p.fill(l, 20)
		},
		script: func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "compaction of segments whose indexes are trusted",
		catches: []string{"(*cleaned).finish"},
		at:      []string{"syncdir"},
		compact: true,
		topic:   func(c *storage.LogConfig) { c.IndexIntervalBytes = 0 },
		before: func(p *powerCut, l *cutLog) {
			for range 14 {
				p.put(l, nil)
			}
			p.rest(l)
		},
		script: func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "a compaction that joins segments",
		catches: []string{"(*Log).swap"},
		at:      []string{"syncdir"},
		through: true,
		compact: true,
		before:  joinable,
		script:  func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "a compaction that a start must finish or undo",
		catches: []string{"(*Log).finishSwap"},
		at:      []string{"00000000000000000000.index -> ", "00000000000000000000.log.cleaned -> "},
		through: true,
		compact: true,
		topic:   func(c *storage.LogConfig) { c.IndexIntervalBytes = 0 },
		before:  joinable,
		script:  func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "two compactions, the second of segments that were too young for the first",
		catches: []string{"(*Log).swap"},
		at:      []string{"00000000000000000000.log.cleaned"},
		compact: true,
		topic:   func(c *storage.LogConfig) { c.MinCompactionLagMs = 60_000 },
		before: func(p *powerCut, l *cutLog) {
			p.twoAges(l)
			p.store.CleanOnce()
			time.Sleep(time.Minute)
		},
		script: func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "a compaction that a start finishes, and another one",
		catches: []string{"(*Log).finishSwap"},
		at:      []string{"00000000000000000000.log.cleaned"},
		compact: true,
		topic:   func(c *storage.LogConfig) { c.MinCompactionLagMs = 60_000 },
		before: func(p *powerCut, l *cutLog) {
			p.twoAges(l)
			p.killAfter("8.log.swap", 7, func() { p.store.CleanOnce() }) // the old segment is gone, the new one has not its name yet
			time.Sleep(time.Minute)
		},
		script: func(p *powerCut, l *cutLog) { p.store.CleanOnce() },
	},
	{
		name:    "retention of segments that are not sealed yet",
		catches: []string{"(*Log).removeBelow", "(*Log).saveSnapshot", "(*logDir).save"},
		topic:   func(c *storage.LogConfig) { c.RetentionBytes = 1000 },
		before: func(p *powerCut, l *cutLog) {
			p.fill(l, 30)
		},
		script: func(p *powerCut, l *cutLog) { p.store.ApplyRetention() },
	},
	{
		name:    "retention takes the last batch of a producer, and is killed before it has synced the snapshot",
		catches: []string{"(*Log).settleSnapshot"},
		at:      []string{".snapshot"},
		topic:   func(c *storage.LogConfig) { c.RetentionBytes = 1000 },
		before: func(p *powerCut, l *cutLog) {
			a, b := p.producer(l), p.producer(l)
			p.put(l, a)
			for range 15 {
				p.put(l, b)
			}
			p.flushNow(l)
		},
		script: func(p *powerCut, l *cutLog) { p.store.ApplyRetention() },
	},
	{
		name:    "a truncation, and other records at the offsets it cut off",
		catches: []string{"(*Log).truncate"},
		before: func(p *powerCut, l *cutLog) {
			for len(l.batches) < 40 {
				p.append(l)
			}
			p.seal(l)
		},
		script: func(p *powerCut, l *cutLog) {
			p.truncateTo(l, 3)
			for len(l.batches) < 9 {
				p.append(l)
			}
			p.flush([]*cutLog{l})
			synctest.Wait()
			p.truncateTo(l, 8)
			p.append(l)
		},
	},
	{
		// Were the second segment to come back, it would continue the first.
		name:    "a truncation, and other records up to where a removed segment began",
		catches: []string{"(*Log).dropSegments"},
		before: func(p *powerCut, l *cutLog) {
			a := p.producer(l)
			for range 6 {
				p.put(l, a)
			}
			p.flushNow(l)
		},
		script: func(p *powerCut, l *cutLog) {
			p.truncateTo(l, 2)
			p.put(l, nil)
			p.put(l, nil)
			p.flushNow(l)
		},
	},
	{
		// Were the snapshot to come back, the next clean stop would take it for its own.
		name:    "a truncation, and other records up to where a removed snapshot stood",
		catches: []string{"(*Log).dropSnapshotsBeyond"},
		before: func(p *powerCut, l *cutLog) {
			a := p.producer(l)
			for range 6 {
				p.put(l, a)
			}
			p.seal(l)
			p.flushNow(l)
		},
		script: func(p *powerCut, l *cutLog) {
			p.truncateTo(l, 2)
			b := p.producer(l)
			p.put(l, b)
			p.put(l, b)
			p.flushNow(l)
		},
	},
	{
		name:    "a truncation of all, and the log begins anew at its end",
		catches: []string{"(*syncTask).sync"},
		before: func(p *powerCut, l *cutLog) {
			for range 6 {
				p.put(l, nil)
			}
			p.flushNow(l)
			p.restart(l)
		},
		script: func(p *powerCut, l *cutLog) {
			p.put(l, nil)
			p.flushNow(l)
		},
	},
	{
		name:    "segments that only the sealer makes durable",
		catches: []string{"(*Log).sealSegment"},
		config:  func(p *powerCut) { p.config.FlushMode = storage.FlushNever },
		script: func(p *powerCut, l *cutLog) {
			for range 10 {
				p.put(l, nil)
			}
			p.seal(l)
		},
	},
	{
		name:    "sealed segments are trusted with their indexes",
		catches: []string{"(*segment).writeIndexes", "(*Log).sealSegment", "(*Log).saveSnapshot"},
		topic:   func(c *storage.LogConfig) { c.IndexIntervalBytes = 0 },
		script: func(p *powerCut, l *cutLog) {
			p.abort(l)
			for range 10 {
				p.put(l, nil)
			}
			p.flushNow(l)
			p.seal(l)
			p.checkpoint()
		},
	},
	{
		name:    "a new epoch of a log in which nothing else happens",
		catches: []string{"(*logDir).settle.func1", "(*Log).changeEpochs"},
		at:      []string{"syncdir"},
		before:  idle,
		script:  func(p *powerCut, l *cutLog) { p.newEpoch(l) },
	},
	{
		name:    "a new epoch of a log in which nothing else happens, settled by syncfs",
		catches: []string{"(*logDir).settle"},
		at:      []string{"syncdir"},
		config:  func(p *powerCut) { p.config.SyncFSThreshold = 1 },
		before:  idle,
		script:  func(p *powerCut, l *cutLog) { p.newEpoch(l) },
	},
	{
		name:    "a clean stop",
		catches: []string{"(*logDir).closeLogs", "(*logDir).close"},
		topic:   func(c *storage.LogConfig) { c.IndexIntervalBytes, c.RetentionBytes = 0, 1000 },
		before:  beforeStop,
		script:  func(p *powerCut, l *cutLog) { p.stop(l) },
	},
	{
		name:    "a clean stop without syncfs",
		catches: []string{"(*closing).sync"},
		config:  func(p *powerCut) { p.noSyncFS = true },
		topic: func(c *storage.LogConfig) {
			c.IndexIntervalBytes, c.RetentionBytes, c.Preallocate = 0, 1000, true
		},
		before: beforeStop,
		script: func(p *powerCut, l *cutLog) { p.stop(l) },
	},
}

// twoAges leaves sealed segments, some of them more than a minute old, and a log that ends at its recovery point.
func (p *powerCut) twoAges(l *cutLog) {
	for i := range 18 {
		if i == 12 {
			time.Sleep(time.Minute)
		}
		p.putKey(l, nil, byte('a'+i))
	}
	p.rest(l)
}

// rest seals and flushes all, up to the recovery point.
func (p *powerCut) rest(l *cutLog) {
	p.seal(l)
	p.flushNow(l)
	p.checkpoint()
}

// joinable leaves segments of which a compaction makes fewer: of the first ones little is left since an earlier compaction.
func joinable(p *powerCut, l *cutLog) {
	for round := range 2 {
		for range 14 {
			p.put(l, nil)
		}
		p.rest(l)
		if round == 0 {
			p.store.CleanOnce()
		}
	}
}

// killAfter kills the process while it does something, so many operations after the first change of a file whose name has that part, and
// starts it again.
func (p *powerCut) killAfter(part string, ops int64, do func()) {
	p.mu.Lock()
	p.ending, p.cutAt, p.aim.name, p.aim.nth, p.aim.ops = endKill, 0, part, 1, ops
	p.mu.Unlock()
	do()
	synctest.Wait()
	if !p.ended() {
		p.fail("there was no change of *%s* to be killed after", part)
		return
	}
	p.store.Close(context.Background())
	p.disk, p.after, p.cutAt, p.aim.name = p.after, nil, 0, ""
	p.config.FS = vfs.Inject(p.disk, p.hook)
	if p.err = p.openAndLook(); p.err == nil {
		synctest.Wait()
	}
}

// idle leaves a log that ends at its recovery point.
func idle(p *powerCut, l *cutLog) {
	p.put(l, nil)
	p.put(l, nil)
	p.flushNow(l)
	p.checkpoint()
}

// beforeStop leaves a log without the records of its first producer.
func beforeStop(p *powerCut, l *cutLog) {
	a, b := p.producer(l), p.producer(l)
	p.put(l, a)
	for range 15 {
		p.put(l, b)
	}
	p.flushNow(l)
	p.store.ApplyRetention()
	p.put(l, b)
	p.flushNow(l)
}

// put appends a batch of a known size, a second after the last one.
func (p *powerCut) put(l *cutLog, producer *cutProducer) { p.putKey(l, producer, 'a') }

func (p *powerCut) putKey(l *cutLog, producer *cutProducer, key byte) {
	time.Sleep(time.Second)
	o := batch.Options{}
	if producer != nil {
		o.Producer = &batch.Producer{ID: producer.id, BaseSequence: producer.next}
	}
	p.builder.Reset(o)
	if err := p.builder.Append(time.Now().UnixMilli(), []byte{'k', key}, bytes.Repeat([]byte{byte(len(l.batches))}, 95), nil); err != nil {
		p.fail("build a batch: %w", err)
	}
	p.appendBuilt(l, producer, 1, storage.Client)
}

// abort appends a batch of a transaction and the marker that aborts it.
func (p *powerCut) abort(l *cutLog) {
	p.nextID++
	id := p.nextID
	time.Sleep(time.Second)
	p.builder.Reset(batch.Options{Transactional: true, Producer: &batch.Producer{ID: id}})
	if err := p.builder.Append(time.Now().UnixMilli(), []byte("k"), []byte("v"), nil); err != nil {
		p.fail("build a batch: %w", err)
	}
	p.appendBuilt(l, nil, 1, storage.Client)
	time.Sleep(time.Second)
	m := batch.EndTxnMarker{}
	p.builder.Reset(batch.Options{Transactional: true, Control: true, Producer: &batch.Producer{ID: id, BaseSequence: -1}})
	if err := p.builder.Append(time.Now().UnixMilli(), m.AppendKey(nil), m.AppendValue(nil), nil); err != nil {
		p.fail("build a marker: %w", err)
	}
	p.appendBuilt(l, nil, 1, storage.Coordinator)
}

func (p *powerCut) producer(l *cutLog) *cutProducer {
	p.nextID++
	producer := &cutProducer{id: p.nextID}
	l.producers = append(l.producers, producer)
	return producer
}

// fill appends batches, flushes them, and seals only the first of the segments.
func (p *powerCut) fill(l *cutLog, batches int) {
	for range 6 {
		p.append(l)
	}
	p.seal(l)
	for len(l.batches) < batches {
		p.append(l)
	}
	p.flushNow(l)
}

func (p *powerCut) flushNow(l *cutLog) {
	l.log.WantFlush()
	synctest.Wait()
}

func (p *powerCut) checkpoint() { p.done("checkpoint", p.store.Checkpoint()) }

func (p *powerCut) truncateTo(l *cutLog, batches int) {
	if p.err == nil && batches >= 0 && len(l.batches) > batches && endOf(l.batches[:batches]) >= l.log.StartOffset() {
		p.cutOff(l, batches)
	}
}

// restart drops all records of the log, which goes on at its end.
func (p *powerCut) restart(l *cutLog) {
	p.step("restart %v at %d", l.tp, l.end())
	if p.done("restart", l.log.TruncateFullyAndStartAt(l.end())) {
		l.start, l.epoch, l.epochFrom = l.end(), -1, noOffset
	}
}

// stop closes the store.
func (p *powerCut) stop(l *cutLog) {
	p.step("a clean stop")
	if p.done("close", p.store.Close(context.Background())) {
		l.durable = l.end()
	}
}
