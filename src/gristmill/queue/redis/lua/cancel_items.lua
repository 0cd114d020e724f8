#!lua flags=allow-oom
-- Cancel items of chunks that wait. ARGV: job, packed changes, the new bodies of chunks that keep some.
-- A change: {id, places before, items gone, their places, places kept or false, items kept}.
-- Returns how many were cancelled, then the ids of chunks that had changed meanwhile: look at them again.
local job, at, cancelled, changed = job_of(ARGV[1]), 3, 0, {}
if not job then
  return {0}
end

local function thin_out(c, places, items, body)
  local key, old, gone = wait_key(c), member(c), c.items - items
  c.places, c.items, c.size = places, items, #body
  write_chunk(c)
  call('HSET', P .. 'bodies', c.id, body)
  if call('ZREM', key, old) == 1 then
    call('ZADD', key, c.due_at, member(c))
    count(c.queue, 'waiting', -gone)
  elseif not job.is_receiving then
    count(c.queue, 'blocked', -gone)
  end
end

for _, change in ipairs(cmsgpack.unpack(ARGV[2])) do
  local id, before, gone, gone_places, kept_places, kept = unpack(change)
  if call('ZSCORE', P .. 'todo:' .. job.id, id) then
    local c = chunk(id)
    if c.places ~= before then
      changed[#changed + 1] = id
    else
      if kept_places then
        thin_out(c, kept_places, kept, ARGV[at])
        record_cancelled(job, gone, gone_places)
      else
        drop(c, job)
      end
      cancelled = cancelled + gone
    end
  end
  at = at + (kept_places and 1 or 0)
end
flush()
return {cancelled, unpack(changed)}
