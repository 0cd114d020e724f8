// One durable queue of the Node world: add N jobs in bulk, then drain them with one worker process.
// node queue.mjs PEER N URL [CONCURRENCY]  prints one line of JSON: seconds for each half.
const [peer, countText, url, concurrencyText] = process.argv.slice(2)
const count = Number(countText)
const concurrency = Number(concurrencyText || 100)
const jobs = Array.from({ length: count }, (_, id) => ({
  id,
  name: `User ${id} of the benchmark with a name of some length`,
  email: `user${id}@example.com`
}))

const seconds = async (work) => {
  const began = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - began) / 1e9
}

const slices = function * (items, size) {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}

// Resolves once every job was handled.
const counter = () => {
  let left = count
  let done
  const all = new Promise((resolve) => { done = resolve })
  return { all, one: () => { if (--left === 0) done() } }
}

const peers = {
  async bull () {
    const { default: Bull } = await import('bull')
    const queue = new Bull('bench', url)
    await queue.isReady()
    const add = await seconds(async () => {
      for (const slice of slices(jobs, 1000)) {
        await queue.addBulk(slice.map((data) => ({ data, opts: { removeOnComplete: true } })))
      }
    })
    const { all, one } = counter()
    const drain = await seconds(async () => {
      queue.process(concurrency, async () => {})
      queue.on('completed', one)
      await all
    })
    const left = await queue.getJobCounts()
    return { add, drain, left: left.waiting + left.active }
  },

  async bullmq () {
    const { Queue, Worker } = await import('bullmq')
    const { hostname: host, port } = new URL(url)
    const connection = { host, port: Number(port), maxRetriesPerRequest: null }
    const queue = new Queue('bench', { connection })
    const add = await seconds(async () => {
      for (const slice of slices(jobs, 1000)) {
        await queue.addBulk(slice.map((data) => ({ name: 'user', data, opts: { removeOnComplete: true } })))
      }
    })
    const { all, one } = counter()
    let worker
    const drain = await seconds(async () => {
      worker = new Worker('bench', async () => {}, { connection, concurrency })
      worker.on('completed', one)
      await all
    })
    const left = await queue.getJobCounts('waiting', 'active')
    return { add, drain, left: left.waiting + left.active }
  },

  async 'graphile-worker' () {
    const { run, makeWorkerUtils, Logger } = await import('graphile-worker')
    const logger = new Logger(() => () => {}) // a line for each job would cost more than the job
    const utils = await makeWorkerUtils({ connectionString: url, logger })
    await utils.migrate()
    const add = await seconds(async () => {
      for (const slice of slices(jobs, 1000)) {
        await utils.addJobs(slice.map((payload) => ({ identifier: 'user', payload })))
      }
    })
    const { all, one } = counter()
    let runner
    const drain = await seconds(async () => {
      runner = await run({
        connectionString: url,
        taskList: { user: one },
        noHandleSignals: true,
        logger,
        preset: {
          worker: {
            concurrentJobs: concurrency,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0
          }
        }
      })
      await all
      await runner.stop()
    })
    return { add, drain }
  },

  async 'pg-boss' () {
    const found = await import('pg-boss')
    const PgBoss = found.PgBoss ?? found.default
    const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false })
    await boss.start()
    await boss.createQueue('bench')
    const add = await seconds(async () => {
      for (const slice of slices(jobs, 1000)) await boss.insert('bench', slice.map((data) => ({ data })))
    })
    let left = count
    const drain = await seconds(async () => {
      while (left > 0) {
        const batch = await boss.fetch('bench', { batchSize: 500 })
        left -= batch.length
        await boss.complete('bench', batch.map((job) => job.id))
      }
    })
    return { add, drain }
  }
}

const found = await peers[peer]()
console.log(JSON.stringify({ count, ...found }))
process.exit(0)
