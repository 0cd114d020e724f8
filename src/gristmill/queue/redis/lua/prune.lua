#!lua flags=allow-oom
-- Remove old final jobs of a queue, and uploads that stand still. ARGV: queue, seconds since they were final, jobs and
-- chunks at most.
-- Returns how many are gone, and 1 if there are more.
local most, budget, gone = tonumber(ARGV[3]), tonumber(ARGV[4]), 0

local function sweep(index, before)
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. index, '-inf', '(' .. exact(before), 'LIMIT', 0, most)) do
    if gone >= most then
      return false
    end
    local job = job_of(id)
    if job.is_receiving then
      call('HSET', P .. 'job:' .. id, 'is_receiving', 2)
    end
    if not remove(job, budget) then
      return true
    end
    gone = gone + 1
  end
  return false
end

-- Final jobs of which an older Gristmill has kept one index for all queues.
local old = call('ZRANGE', P .. 'finished', 0, most - 1, 'WITHSCORES')
for i = 1, #old, 2 do
  local queue, finished_at = unpack(call('HMGET', P .. 'job:' .. old[i], 'queue', 'finished_at'))
  if queue and finished_at then
    call('ZADD', P .. 'finished:' .. queue, old[i + 1], old[i])
  end
  call('ZREM', P .. 'finished', old[i])
end

local is_more = sweep('finished:' .. ARGV[1], now - ARGV[2]) or sweep('uploads', now - ABANDONED)
flush()
return {gone, is_more and 1 or 0}
