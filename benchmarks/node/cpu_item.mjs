// Work that only a processor can do, in turns that are counted and not timed; poison takes the process with it.
export const spin = (turns) => {
  let value = 0
  for (let turn = 0; turn < turns; turn += 1) value = (Math.imul(value, 31) + turn) & 0xffff
  return value
}

export const spinRow = ({ id, turns, poison }) => {
  if (poison) process.kill(process.pid, 'SIGKILL')
  return { id, value: spin(turns) }
}
