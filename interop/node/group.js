// One member of a consumer group: its config as the first line of standard input, commands as further lines, an event per line of output.
// kafkajs has no rebalance callbacks; it tells of them by instrumentation events, and of a membership that was lost not at all: the next join
// shows it.
'use strict'
const readline = require('readline')
const { Kafka, PartitionAssigners, logLevel } = require('kafkajs')

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const micros = () => Math.round((performance.timeOrigin + performance.now()) * 1000)
const emit = (event) => process.stdout.write(JSON.stringify({ at: micros(), ...event }) + '\n')

let nap = 0

async function member (c, stopped) {
  if (c.assignor !== 'roundrobin') throw new Error('kafkajs has no assignor ' + c.assignor)
  const kafka = new Kafka({
    clientId: c.client_id,
    brokers: [c.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 30 }
  })
  const consumer = kafka.consumer({
    groupId: c.group,
    partitionAssigners: [PartitionAssigners.roundRobin],
    sessionTimeout: c.session_ms,
    heartbeatInterval: c.heartbeat_ms,
    rebalanceTimeout: c.poll_max_ms,
    metadataMaxAge: c.metadata_ms,
    maxWaitTimeInMs: 200
  })
  let owned = []
  const gone = (kind) => {
    if (owned.length) emit({ event: kind, partitions: owned })
    owned = []
  }
  consumer.on(consumer.events.REBALANCING, () => gone('revoked'))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    gone('lost')
    owned = payload.memberAssignment[c.topic] || []
    emit({ event: 'assigned', partitions: owned })
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => emit({ event: 'error', error: String(payload.error.message) }))
  await consumer.connect()
  await consumer.subscribe({ topics: [c.topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      let next = null
      const commit = async () => {
        if (next === null) return
        const event = { event: 'commit', offsets: { [batch.partition]: next } }
        try {
          await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: String(next) }])
          emit(event)
        } catch (e) {
          // The heartbeat below meets the same error, and there the library knows what to do.
          emit({ ...event, event: 'commit_failed', error: e.type || e.message })
        } finally {
          next = null
        }
      }
      for (const m of batch.messages) {
        if (!isRunning() || isStale()) break
        emit({ event: 'record', partition: batch.partition, offset: Number(m.offset), value: m.value.toString() })
        if (nap) {
          const ms = nap
          nap = 0
          emit({ event: 'sleeping' })
          await sleep(ms)
          emit({ event: 'awake' })
        }
        resolveOffset(m.offset)
        next = Number(m.offset) + 1
      }
      await commit()
      await heartbeat()
    }
  })
  await stopped
  await consumer.stop()
  gone('revoked')
  await consumer.disconnect()
}

const lines = readline.createInterface({ input: process.stdin })
let started = false
let stop
const stopped = new Promise((resolve) => { stop = resolve })
lines.on('line', (line) => {
  const q = JSON.parse(line)
  if (!started) {
    started = true
    member(q, stopped).then(() => {
      emit({ event: 'closed' })
      process.exit(0)
    }, (e) => {
      emit({ event: 'error', error: String(e.message || e) })
      process.exit(1)
    })
  } else if (q.do === 'sleep') {
    nap = q.ms
  } else {
    stop()
  }
})
lines.on('close', () => stop()) // the harness is gone
