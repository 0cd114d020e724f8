#!lua flags=no-writes
-- Read how queues stand. ARGV: names. Returns for each: {name, is paused, ready, scheduled, blocked, running, dead, age},
-- without those that have nothing and are not limited.
-- What is due of the waiting is summed up on its shorter side; where both are long, it is told from their lengths.
local LONG = 5000

local function sum(key, low, high)
  local items = 0
  for _, found in ipairs(call('ZRANGEBYSCORE', key, low, high)) do
    items = items + string.sub(found, 18)
  end
  return items
end

local function status(queue)
  local names = {'waiting', 'blocked', 'running', 'dead', 'chunks', 'is_paused', 'rate', 'concurrency'}
  local row = call('HMGET', P .. 'queue:' .. queue, unpack(names))
  if not (row[6] or row[7] or row[8]) and tonumber(row[5] or 0) == 0 then
    return nil
  end
  local waiting, due, later, age, keys = tonumber(row[1] or 0), 0, 0, 0, {}
  for priority = 0, 9 do
    local key = P .. 'wait:' .. priority .. ':' .. queue
    local oldest = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if oldest then
      keys[#keys + 1] = key
      age = math.max(age, now - oldest)
      due = due + call('ZCOUNT', key, '-inf', now)
      later = later + call('ZCOUNT', key, '(' .. exact(now), '+inf')
    end
  end
  local ready = 0
  if math.min(due, later) > LONG then
    ready = math.floor(waiting * due / (due + later))
  else
    for _, key in ipairs(keys) do
      ready = ready + (due <= later and sum(key, '-inf', now) or sum(key, '(' .. exact(now), '+inf'))
    end
    ready = due <= later and ready or waiting - ready
  end
  return {
    queue, row[6] and 1 or 0, ready, waiting - ready, tonumber(row[2] or 0), tonumber(row[3] or 0),
    tonumber(row[4] or 0), string.format('%.6f', age),
  }
end

local reply = {}
for _, queue in ipairs(ARGV) do
  reply[#reply + 1] = status(queue)
end
return reply
