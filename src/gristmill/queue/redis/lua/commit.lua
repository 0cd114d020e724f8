#!lua flags=allow-oom
-- Let the items of an upload run. ARGV: job. Returns 0 if it receives none.
local job = job_of(ARGV[1])
if not job or job.is_receiving ~= '1' then
  return 0
end
call('HDEL', P .. 'job:' .. job.id, 'is_receiving')
call('ZREM', P .. 'uploads', job.id)
job.is_receiving, job.is_changed = false, true
local ids = call('ZRANGE', P .. 'todo:' .. job.id, 0, -1)
for from = 1, #ids, SLICE do -- a few at a time: Lua gets slow with many tables at hand
  for _, c in ipairs(read_chunks({unpack(ids, from, math.min(from + SLICE - 1, #ids))})) do
    if c.key and call('HGET', P .. 'heads', slot(c.queue, c.key)) ~= c.id then
      count(c.queue, 'blocked', c.items)
    else
      offer(c)
    end
  end
  write_delayed()
end
flush()
return 1
