#!lua flags=allow-oom
-- Remove a final job. ARGV: job, chunks at most. Returns 0 without a job, -1 if it is not final, 2 if there is more of it.
local job = job_of(ARGV[1])
if not job then
  return 0
end
if not job.finished_at then
  return -1
end
local is_gone = remove(job, tonumber(ARGV[2]))
flush()
return is_gone and 1 or 2
