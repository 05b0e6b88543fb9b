// One request as JSON on standard input, one answer as JSON on standard output: kafkajs as its users use it. It consumes only in a group, so
// that consume joins one of its own.
'use strict'
const { Kafka, CompressionTypes, CompressionCodecs, Partitioners, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const bytes = (text) => (text === null || text === undefined ? null : Buffer.from(text, 'base64'))
const text64 = (b) => (b === null || b === undefined ? null : Buffer.from(b).toString('base64'))
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

async function withAdmin (kafka, work) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

function message (record) {
  const m = { key: bytes(record.key), value: bytes(record.value), partition: record.partition }
  if (record.timestamp) m.timestamp = String(record.timestamp)
  if (record.headers) {
    m.headers = {}
    for (const { key, value } of record.headers) {
      const v = bytes(value)
      if (!(key in m.headers)) m.headers[key] = v
      else m.headers[key] = [].concat(m.headers[key], v)
    }
  }
  return m
}

// patient outlives the restart of a broker that takes its time.
const patient = { retries: 200, initialRetryTime: 50, maxRetryTime: 500 }

async function produce (kafka, p) {
  const producer = kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: p.idempotent,
    maxInFlightRequests: p.idempotent ? 1 : undefined,
    retry: patient
  })
  await producer.connect()
  try {
    const compression = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }[p.codec]
    const send = (records) => producer.send({ topic: p.topic, acks: -1, compression, messages: records.map(message) })
    if (!p.interval_ns) return await send(p.records)
    const step = 20
    for (let i = 0; i < p.records.length; i += step) {
      await sleep(step * p.interval_ns / 1e6)
      await send(p.records.slice(i, i + step))
    }
  } finally {
    await producer.disconnect()
  }
}

async function consume (kafka, c) {
  const consumer = kafka.consumer({ groupId: 'interop-' + process.pid + '-' + Date.now(), maxWaitTimeInMs: 100, maxBytesPerPartition: 2 << 20 })
  const starts = c.from === 'timestamp' ? await withAdmin(kafka, (admin) => admin.fetchTopicOffsetsByTimestamp(c.topic, c.timestamp)) : []
  await consumer.connect()
  const records = []
  try {
    await consumer.subscribe({ topics: [c.topic], fromBeginning: c.from !== 'end' })
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(records.length + ' of ' + c.count + ' records')), 45000)
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          if (records.length >= c.count || !c.partitions.includes(partition)) return
          const headers = []
          for (const [key, value] of Object.entries(message.headers || {})) {
            for (const v of [].concat(value)) headers.push({ key, value: text64(v) })
          }
          records.push({ partition, offset: Number(message.offset), timestamp: Number(message.timestamp), key: text64(message.key), value: text64(message.value), headers })
          if (records.length === c.count) {
            clearTimeout(late)
            resolve()
          }
        }
      })
      for (const { partition, offset } of starts) consumer.seek({ topic: c.topic, partition, offset })
    })
  } finally {
    await consumer.disconnect()
  }
  return { records }
}

async function main (q) {
  if (q.op === 'version') return { version: require('kafkajs/package.json').version + ', node ' + process.versions.node }
  const kafka = new Kafka({ clientId: 'interop', brokers: [q.bootstrap], logLevel: logLevel.NOTHING, retry: q.op === 'produce' ? patient : { retries: 5 } })
  switch (q.op) {
    case 'create':
      if (!await withAdmin(kafka, (admin) => admin.createTopics({
        waitForLeaders: true,
        topics: [{
          topic: q.topic,
          numPartitions: q.partitions,
          replicationFactor: 1,
          configEntries: Object.entries(q.configs || {}).map(([name, value]) => ({ name, value }))
        }]
      }))) throw new Error('the topic exists already')
      return {}
    case 'describe':
      return withAdmin(kafka, async (admin) => {
        const meta = await admin.fetchTopicMetadata({ topics: [q.topic] })
        const found = await admin.describeConfigs({ resources: [{ type: 2, name: q.topic }] })
        const configs = {}
        for (const c of found.resources[0].configEntries) configs[c.configName] = c.configValue || ''
        return { description: { partitions: meta.topics[0].partitions.length, configs, topics: await admin.listTopics() } }
      })
    case 'alter':
      await withAdmin(kafka, (admin) => admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: q.topic, configEntries: Object.entries(q.configs).map(([name, value]) => ({ name, value })) }]
      }))
      return {}
    case 'consume':
      return consume(kafka, q.consume)
    case 'produce':
      await produce(kafka, q.produce)
      return {}
  }
  throw new Error('unknown op ' + q.op)
}

let text = ''
process.stdin.on('data', (d) => { text += d })
process.stdin.on('end', () => {
  main(JSON.parse(text)).catch((e) => ({ error: String(e.message || e) })).then((a) => process.stdout.write(JSON.stringify(a) + '\n'))
})
