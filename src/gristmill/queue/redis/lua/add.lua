#!lua
-- Store more items of an upload. ARGV: job, packed chunks, their bodies. Returns 0 if it receives none.
local job = job_of(ARGV[1])
if not job or job.is_receiving ~= '1' then
  return 0
end
call('ZADD', P .. 'uploads', now, job.id)
for i, values in ipairs(cmsgpack.unpack(ARGV[2])) do
  job.total = job.total + values[2]
  put(sent_chunk(values, job.due_at), ARGV[2 + i], job)
end
job.is_changed = true
flush()
return 1
