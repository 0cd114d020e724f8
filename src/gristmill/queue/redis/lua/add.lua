#!lua
-- Store more items of an upload. ARGV: job, packed {chunks, results}, the bodies of the chunks, the results that are
-- kept, as settle takes them: of items that can never run, and are in no chunk. Returns 0 if it receives none.
local job = job_of(ARGV[1])
if not job or job.is_receiving ~= '1' then
  return 0
end
call('ZADD', P .. 'uploads', now, job.id)
local chunks, refused = unpack(cmsgpack.unpack(ARGV[2]))
local at = 3
for _, values in ipairs(chunks) do
  job.total = job.total + values[2]
  put(sent_chunk(values, job.due_at), ARGV[at], job)
  at = at + 1
end
for _, result in ipairs(refused) do
  local _, kind, items, places, is_kept = unpack(result)
  job.total = job.total + items
  record(job, kind, items, places, is_kept and ARGV[at])
  at = at + (is_kept and 1 or 0)
end
job.is_changed = true
flush()
return 1
