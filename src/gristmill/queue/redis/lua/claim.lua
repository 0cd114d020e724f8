#!lua flags=allow-oom
-- Lease due chunks of a queue, in order of rank. ARGV: queue, worker, items, bytes, seconds.
-- Returns {lease, more, id, row, body, ...}, or {"", seconds until something is due or ""}.
local FEW, MANY = 4, 64 -- chunks of one priority that are looked at together: at first, and further on
local MOST = 500 -- chunks of one claim
local AGING = 60 -- seconds of waiting that outweigh one step of priority

local queue, worker = ARGV[1], ARGV[2]
local max_items, max_bytes, seconds = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local limits = limits_of(queue)
if limits.is_paused or (limits.concurrency and limits.leases >= limits.concurrency) then
  return {'', ''}
end

-- Goes on to the next due chunk of one priority; nil at their end.
local function look(head)
  if head.at == #head.ids and not head.is_over then
    local size = head.at == 0 and FEW or MANY
    local found = call('ZRANGEBYSCORE', head.key, '-inf', now, 'WITHSCORES', 'LIMIT', head.read, size)
    head.read, head.is_over, head.at = head.read + size, #found < 2 * size, 0
    head.members, head.ids, head.ranks = {}, {}, {}
    for i = 1, #found / 2 do
      head.members[i], head.ids[i] = found[2 * i - 1], string.sub(found[2 * i - 1], 1, 16)
      head.ranks[i] = found[2 * i] + head.priority * AGING
    end
    head.rows = nil
  end
  head.at = head.at + 1
  head.id, head.rank = head.ids[head.at], head.ranks[head.at]
  return head.id
end

local heads = {}
for priority = 0, 9 do
  local head = {key = P .. 'wait:' .. priority .. ':' .. queue, priority = priority, read = 0, at = 0, ids = {}}
  if look(head) then
    heads[#heads + 1] = head
  end
end

local function first()
  local best
  for _, head in ipairs(heads) do
    if head.id and (not best or head.rank < best.rank or (head.rank == best.rank and head.id < best.id)) then
      best = head
    end
  end
  return best
end

local function next_due()
  local due
  for priority = 0, 9 do
    local found = call('ZRANGE', P .. 'wait:' .. priority .. ':' .. queue, 0, 0, 'WITHSCORES')[2]
    if found then
      due = math.min(due or tonumber(found), tonumber(found))
    end
  end
  return due and string.format('%.6f', due - now) or ''
end

-- Refills the bucket of the queue's rate; returns the seconds until a chunk of so many items is admitted.
local function admit(items)
  limits.tokens = math.min(limits.burst, limits.tokens + math.max(0, now - limits.at) * limits.rate)
  return math.max(0, math.min(items, limits.burst) - limits.tokens) / limits.rate
end

local taken, ids, items, size, room = {}, {}, 0, 0, max_items
local head, is_dropped, is_cancelling = first(), false, call('EXISTS', P .. 'cancelling') == 1
while head and #taken < MOST do
  head.rows = head.rows or each('HMGET', P .. 'chunks', head.ids)
  local c = read_chunk(head.id, head.rows[head.at])
  if is_cancelling and call('SISMEMBER', P .. 'cancelling', c.job) == 1 then
    is_dropped = true
    drop(c, job_of(c.job))
    head.read = head.read - 1 -- the others have moved up
  else
    if #taken == 0 and limits.rate then
      local due_in = admit(c.items)
      if due_in > 0 then
        if is_dropped then
          flush()
        end
        return {'', string.format('%.6f', due_in)}
      end
      room = math.min(max_items, math.floor(math.max(limits.tokens, c.items)))
    end
    if #taken > 0 and (c.crashes > 0 or taken[1].crashes > 0
        or items + c.items > room or size + c.size > max_bytes) then
      break
    end
    taken[#taken + 1], ids[#ids + 1] = c, c.id
    items, size = items + c.items, size + c.size
    later('ZREM', head.key, head.members[head.at])
  end
  look(head)
  head = first()
end
if #taken == 0 then
  if is_dropped then
    flush()
  end
  return {'', next_due()}
end

local lease = start_lease(queue, worker, ids, seconds)
local running = {}
for _, c in ipairs(taken) do
  later('ZREM', P .. 'todo:' .. c.job, c.id)
  running[c.job] = (running[c.job] or 0) + c.items
end
for job, of in pairs(running) do
  call('HINCRBY', P .. 'job:' .. job, 'running', of)
end
count(queue, 'waiting', -items)
count(queue, 'running', items)
if limits.rate then
  call('HSET', P .. 'queue:' .. queue, 'tokens', limits.tokens - items, 'at', now)
end
if head then
  ring(queue) -- one who waits wakes the next, while there is more
end
flush()
return hand_out({lease, head and 1 or 0}, taken)
