// A task of Piscina: one batch.
import { spinRow } from './cpu_item.mjs'

export default (batch) => batch.map(spinRow)
