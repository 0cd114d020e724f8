#!lua flags=allow-oom
-- Remove an upload. ARGV: job, chunks at most. Returns 1 if there is more of it.
local job = job_of(ARGV[1])
if not job or not job.is_receiving then
  return 0
end
call('HSET', P .. 'job:' .. job.id, 'is_receiving', 2) -- it takes no more items
local is_gone = remove(job, tonumber(ARGV[2]))
flush()
return is_gone and 0 or 1
