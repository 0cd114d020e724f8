// A CSV file through a Transform stream in batches of 1000 into a CSV file: the pattern of Node tutorials,
// with csv-parser in front and csv-stringify behind. node stream_rows.mjs INPUT OUTPUT
import fs from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import csv from 'csv-parser'
import { stringify } from 'csv-stringify'

const [source, target] = process.argv.slice(2)

const inBatches = (size, handler) => {
  let batch = []
  const hand = async (stream) => {
    const ready = batch
    batch = []
    for (const row of await handler(ready)) stream.push(row)
  }
  return new Transform({
    objectMode: true,
    transform (row, encoding, done) {
      batch.push(row)
      if (batch.length < size) return done()
      hand(this).then(() => done(), done)
    },
    flush (done) {
      if (batch.length === 0) return done()
      hand(this).then(() => done(), done)
    }
  })
}

const addGross = async (orders) =>
  orders.map((order) => ({ ...order, gross: Math.round(Number(order.amount) * 119) / 100 }))

await pipeline(
  fs.createReadStream(source),
  csv(),
  inBatches(1000, addGross),
  stringify({ header: true }),
  fs.createWriteStream(target)
)
