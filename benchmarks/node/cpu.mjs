// CPU-bound items on Node: one after the other, on a pool of worker threads by hand, and on Piscina; two workers.
// node cpu.mjs SUBJECT COUNT TURNS CHUNK [POISON]  prints the number of answers and how it ended.
// node cpu.mjs calibrate MICROSECONDS  prints the turns of that time.
import { Worker } from 'node:worker_threads'
import { spin, spinRow } from './cpu_item.mjs'

const WORKERS = 2
const file = (name) => new URL(name, import.meta.url)

const slices = function * (items, size) {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}

const calibrate = (microseconds) => {
  const turns = 20_000_000
  let best = Infinity
  for (let round = 0; round < 20; round += 1) {
    const began = process.cpuUsage().user
    spin(turns)
    best = Math.min(best, process.cpuUsage().user - began)
  }
  return Math.max(1, Math.round(turns * microseconds / best))
}

const subjects = {
  'Node sequential': async (items) => items.map(spinRow),

  // A list is cut into one part for each worker, and each part is one message there and one back.
  'Node worker pool': async (items) => {
    const workers = Array.from({ length: WORKERS }, () => new Worker(file('cpu_worker.mjs')))
    const size = Math.ceil(items.length / WORKERS)
    const answers = await Promise.all(workers.map((worker, place) => new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.postMessage(items.slice(place * size, (place + 1) * size))
    })))
    await Promise.all(workers.map((worker) => worker.terminate()))
    return answers.flat()
  },

  Piscina: async (items, chunk) => {
    const { Piscina } = await import('piscina')
    const pool = new Piscina({ filename: file('cpu_task.mjs').href, minThreads: WORKERS, maxThreads: WORKERS })
    const answers = await Promise.all([...slices(items, chunk)].map((slice) => pool.run(slice)))
    await pool.destroy()
    return answers.flat()
  }
}

const [subject, countText, turnsText, chunkText, poison] = process.argv.slice(2)
if (subject === 'calibrate') {
  console.log(calibrate(Number(countText)))
} else {
  const turns = Number(turnsText)
  const items = Array.from({ length: Number(countText) }, (_, id) => ({ id, turns }))
  if (poison !== undefined) items[Number(poison)].poison = true
  const value = spin(turns)
  const answers = await subjects[subject](items, Number(chunkText))
  const right = answers.every((row, place) => row.id === place && row.value === value)
  console.log(answers.length, right ? 'done' : 'wrong')
}
