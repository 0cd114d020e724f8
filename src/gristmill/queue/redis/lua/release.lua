#!lua flags=allow-oom
-- Give the chunks of a lease back as they were. ARGV: lease. Returns 0 if it is not held.
if not is_held(ARGV[1]) then
  return 0
end
local _, ids = end_lease(ARGV[1])
for _, c in ipairs(read_chunks(ids)) do
  local job = job_of(c.job)
  stop(c, job)
  if job.is_cancelled then
    drop(c, job)
  else
    call('ZADD', P .. 'todo:' .. c.job, c.id, c.id)
    offer(c)
  end
end
flush()
return 1
