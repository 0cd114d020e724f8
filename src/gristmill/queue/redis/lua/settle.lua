#!lua flags=allow-oom
-- Replace the chunks of a lease by others and record results. ARGV: packed {lease, chunks, results}, the bodies of
-- the chunks, the results that are kept. A chunk: {job, ...} as enqueued; a result: {job, kind, items, places, is kept}.
local lease, chunks, results = unpack(cmsgpack.unpack(ARGV[1]))
if not is_held(lease) then
  return call('SISMEMBER', settled_key(lease), lease) == 1 and 'duplicate' or 'stale'
end
for _, list in ipairs({chunks, results}) do
  for _, values in ipairs(list) do
    if not job_of(values[1]) then
      return redis.error_reply('ERR there is no job ' .. values[1])
    end
  end
end

local queue, ids = end_lease(lease)
for _, c in ipairs(read_chunks(ids)) do
  stop(c, job_of(c.job))
  let_go(c)
end
forget(ids, queue)

local at = 2
for _, values in ipairs(chunks) do
  local job = job_of(table.remove(values, 1))
  local c = sent_chunk(values, now)
  if job.is_cancelled and not c.code then
    record_cancelled(job, c.items, c.places)
  else
    put(c, ARGV[at], job)
  end
  at = at + 1
end
for _, result in ipairs(results) do
  local job, kind, items, places, is_kept = unpack(result)
  record(job_of(job), kind, items, places, is_kept and ARGV[at])
  at = at + (is_kept and 1 or 0)
end

call('SADD', settled_key(lease), lease)
call('EXPIRE', settled_key(lease), REMEMBERED)
flush()
return 'settled'
