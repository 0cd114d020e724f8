// A worker of the pool by hand.
import { parentPort } from 'node:worker_threads'
import { spinRow } from './cpu_item.mjs'

parentPort.on('message', (batch) => parentPort.postMessage(batch.map(spinRow)))
