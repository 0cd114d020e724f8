#!lua flags=allow-oom
-- Lease due chunks of a queue, in order of rank. ARGV: queue, worker, items, bytes, seconds.
-- Returns {lease, more, id, row, body, ...}, or {"", seconds until something is due or ""}.
local PAGE = 16 -- chunks of one priority that are looked at together
local MOST = 500 -- chunks of one claim
local AGING = 60 -- seconds of waiting that outweigh one step of priority

local queue, worker = ARGV[1], ARGV[2]
local max_items, max_bytes, seconds = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local limits = limits_of(queue)
if limits.is_paused or (limits.concurrency and limits.leases >= limits.concurrency) then
  return {'', ''}
end

-- Reads on in the due chunks of one priority; false at their end.
local function look(head)
  if head.at > #head.page and not head.is_over then
    head.page = call('ZRANGEBYSCORE', head.key, '-inf', now, 'WITHSCORES', 'LIMIT', head.read, PAGE)
    head.read, head.at, head.is_over = head.read + PAGE, 1, #head.page < 2 * PAGE
  end
  head.member = head.page[head.at]
  head.rank = head.member and head.page[head.at + 1] + head.priority * AGING
  return head.member
end

local heads = {}
for priority = 0, 9 do
  local head = {key = P .. 'wait:' .. priority .. ':' .. queue, priority = priority, read = 0, at = 1, page = {}}
  if look(head) then
    heads[#heads + 1] = head
  end
end

local function first()
  local best
  for _, head in ipairs(heads) do
    if head.member and (not best or head.rank < best.rank
        or (head.rank == best.rank and head.member < best.member)) then
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

local taken, members, ids, items, size, room = {}, {}, {}, 0, 0, max_items
local head, is_dropped = first(), false
while head and #taken < MOST do
  local c = chunk(string.sub(head.member, 1, 16))
  local job = job_of(c.job)
  if job.is_cancelled then -- its cancel has not come to this chunk yet
    is_dropped = true
    drop(c, job)
    head.read = head.read - 1
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
    members[head.key] = members[head.key] or {}
    table.insert(members[head.key], head.member)
    items, size = items + c.items, size + c.size
    run(c, job, 1)
  end
  head.at = head.at + 2
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
for key, list in pairs(members) do
  each('ZREM', key, list)
end
for _, c in ipairs(taken) do
  call('ZREM', P .. 'todo:' .. c.job, c.id)
end
count(queue, 'waiting', -items)
if limits.rate then
  call('HSET', P .. 'queue:' .. queue, 'tokens', limits.tokens - items, 'at', now)
end
if head then
  ring(queue) -- one who waits wakes the next, while there is more
end
flush()
return hand_out({lease, head and 1 or 0}, taken)
