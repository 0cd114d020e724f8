#!lua flags=allow-oom
-- Let the items of an upload run. ARGV: job. Returns 0 if it receives none.
local job = job_of(ARGV[1])
if not job or job.is_receiving ~= '1' then
  return 0
end
call('HDEL', P .. 'job:' .. job.id, 'is_receiving')
call('ZREM', P .. 'uploads', job.id)
job.is_receiving, job.is_changed = false, true
for _, c in ipairs(read_chunks(call('ZRANGE', P .. 'todo:' .. job.id, 0, -1))) do
  if c.key and call('HGET', P .. 'heads', slot(c.queue, c.key)) ~= c.id then
    count(c.queue, 'blocked', c.items)
  else
    offer(c)
  end
end
flush()
return 1
