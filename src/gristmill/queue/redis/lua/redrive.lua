#!lua flags=allow-oom
-- Let dead chunks run again. ARGV: items at about the most, ids. Returns how many items do.
local redriven = 0
for i = 2, #ARGV do
  local row = call('HGET', P .. 'chunks', ARGV[i])
  local c = row and read_chunk(ARGV[i], row)
  if redriven < tonumber(ARGV[1]) and c and c.code then
    local job = job_of(c.job)
    if not job.is_cancelled then
      local body = call('HGET', P .. 'bodies', c.id)
      exhume(c)
      c.attempt, c.crashes, c.code, c.error, c.due_at = 0, 0, false, false, now
      put(c, body, job)
      take_back(job, c.items, c.places)
      redriven = redriven + c.items
    end
  end
end
flush()
return redriven
