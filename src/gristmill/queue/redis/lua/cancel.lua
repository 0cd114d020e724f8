#!lua flags=allow-oom
-- Cancel what of a job is not running. ARGV: job, chunks at most. Returns 0 without a job, 2 if there is more of it.
local job = job_of(ARGV[1])
if not job then
  return 0
end
if job.finished_at then
  return 1
end
local name, todo = P .. 'job:' .. job.id, P .. 'todo:' .. job.id
call('HSET', name, 'is_cancelled', 1)
job.is_cancelled, job.is_changed = '1', true
if job.is_receiving then
  call('HSET', name, 'is_receiving', 2) -- it takes no more items
end
call('SADD', P .. 'cancelling', job.id)
for _, c in ipairs(read_chunks(call('ZRANGE', todo, 0, ARGV[2] - 1))) do
  drop(c, job)
end
local is_whole = call('EXISTS', todo) == 0
if is_whole then
  call('SREM', P .. 'cancelling', job.id)
end
if is_whole and job.is_receiving then
  call('HDEL', name, 'is_receiving')
  call('ZREM', P .. 'uploads', job.id)
  job.is_receiving = false
end
flush()
return is_whole and 1 or 2
