-- Chunks, where they wait, who holds them, and how what was counted up is written; behind tables.lua, before every script.

local function read_chunk(id, row)
  local values, c = cmsgpack.unpack(row), {id = id, row = row}
  for i = 1, #FIELDS do
    c[FIELDS[i]] = values[i]
  end
  return c
end

local function chunk(id)
  return read_chunk(id, call('HGET', P .. 'chunks', id))
end

local function read_chunks(ids)
  local rows, found = each('HMGET', P .. 'chunks', ids), {}
  for i = 1, #ids do
    found[i] = read_chunk(ids[i], rows[i])
  end
  return found
end

local function write_chunk(c)
  local values = {}
  for i = 1, #FIELDS do
    values[i] = c[FIELDS[i]] or false
  end
  later('HSET', P .. 'chunks', c.id, cmsgpack.pack(values))
end

-- Removes what is stored of chunks, wherever they stood.
local function forget(ids, queue)
  each('HDEL', P .. 'chunks', ids)
  each('HDEL', P .. 'bodies', ids)
  count(queue, 'chunks', -#ids)
end

-- Lets a chunk that is not blocked, of a job that is whole, be claimed.
local function offer(c)
  later('ZADD', wait_key(c), c.due_at, member(c))
  count(c.queue, 'waiting', c.items)
  ring(c.queue)
end

-- Puts a chunk where it waits: behind the others of its key, if there is one.
local function line_up(c, job)
  if c.key then
    local place = slot(c.queue, c.key)
    if call('HSETNX', P .. 'heads', place, c.id) == 0 then
      call('ZADD', P .. 'line:' .. place, c.line, c.id)
      if not job.is_receiving then
        count(c.queue, 'blocked', c.items)
      end
      return
    end
  end
  if not job.is_receiving then
    offer(c)
  end
end

local freed = {} -- slots of keys whose head is gone: flush lets the next run, unless somebody came in between

local function let_go(c)
  if c.key then
    local place = slot(c.queue, c.key)
    if call('HGET', P .. 'heads', place) == c.id then
      call('HDEL', P .. 'heads', place)
      freed[place] = true
    end
  end
end

local function unblock(place)
  local id = call('ZRANGE', P .. 'line:' .. place, 0, 0)[1]
  if not id or call('HSETNX', P .. 'heads', place, id) == 0 then
    return
  end
  call('ZREM', P .. 'line:' .. place, id)
  local c = chunk(id)
  if not job_of(c.job).is_receiving then
    count(c.queue, 'blocked', -c.items)
    offer(c)
  end
end

-- Takes a chunk that waits out of where it waits; its key stays closed.
local function withdraw(c, job)
  call('ZREM', P .. 'todo:' .. c.job, c.id)
  if call('ZREM', wait_key(c), member(c)) == 1 then
    count(c.queue, 'waiting', -c.items)
  elseif c.key and call('ZREM', P .. 'line:' .. slot(c.queue, c.key), c.id) == 1 and not job.is_receiving then
    count(c.queue, 'blocked', -c.items)
  end
end

-- Ends a chunk that waits, its items cancelled.
local function drop(c, job)
  withdraw(c, job)
  let_go(c)
  forget({c.id}, c.queue)
  record_cancelled(job, c.items, c.places)
end

local function bury(c)
  local place = slot(c.queue, c.code)
  call('ZADD', P .. 'dead:' .. place, c.dead_at, c.id)
  call('ZADD', P .. 'dead_of:' .. c.job, c.dead_at, c.id)
  call('HINCRBY', P .. 'dead', place, c.items)
  count(c.queue, 'dead', c.items)
end

local function exhume(c)
  local place = slot(c.queue, c.code)
  call('ZREM', P .. 'dead:' .. place, c.id)
  call('ZREM', P .. 'dead_of:' .. c.job, c.id)
  if call('HINCRBY', P .. 'dead', place, -c.items) <= 0 then
    call('HDEL', P .. 'dead', place)
  end
  count(c.queue, 'dead', -c.items)
  forget({c.id}, c.queue)
end

-- Stores a chunk; c has due_at and what the caller said of it.
local function put(c, body, job)
  c.id, c.queue, c.job = next_id(), job.queue, job.id
  c.priority, c.keep, c.size = job.priority, job.keep, #body
  c.dead_at = c.code and now
  if c.line == 0 then
    c.line = tonumber(c.id)
  end
  write_chunk(c)
  later('HSET', P .. 'bodies', c.id, body)
  count(c.queue, 'chunks', 1)
  if c.code then
    bury(c)
  else
    call('ZADD', P .. 'todo:' .. c.job, c.id, c.id)
    line_up(c, job)
  end
end

-- Makes a chunk of what a client sent: {places, items, key, line, attempt, crashes, delay, code, error}.
local function sent_chunk(values, since)
  return {
    places = values[1], items = values[2], key = values[3], line = values[4], attempt = values[5],
    crashes = values[6], due_at = since + values[7], code = values[8], error = values[9],
  }
end

-- Removes a job with all it left; false if it had more than budget chunks: call again. Its state must see to it
-- that nobody else changes it meanwhile.
local function remove(job, budget)
  local ids = call('ZRANGE', P .. 'todo:' .. job.id, 0, budget - 1)
  for _, c in ipairs(read_chunks(ids)) do
    withdraw(c, job)
    let_go(c)
  end
  forget(ids, job.queue)
  local rest = budget - #ids
  local dead = rest > 0 and call('ZRANGE', P .. 'dead_of:' .. job.id, 0, rest - 1) or {}
  for _, c in ipairs(read_chunks(dead)) do
    exhume(c)
  end
  if #ids + #dead >= budget then
    return false
  end
  if job.unique_key then
    free(job)
  end
  call('UNLINK', P .. 'results:' .. job.id, P .. 'results:succeeded:' .. job.id, P .. 'results:failed:' .. job.id,
    P .. 'results:cancelled:' .. job.id, P .. 'spans:' .. job.id, P .. 'job:' .. job.id)
  for _, index in ipairs({'jobs', 'jobs:' .. job.queue, 'live', 'finished:' .. job.queue, 'uploads'}) do
    later('ZREM', P .. index, job.id)
  end
  call('SREM', P .. 'cancelling', job.id)
  jobs[job.id] = false
  return true
end

-- Tells whether a job is an upload whose process is dead, as far as one can hear.
local function is_abandoned(job)
  return job.is_receiving and tonumber(call('ZSCORE', P .. 'uploads', job.id) or now) < now - ABANDONED
end

-- Takes an upload out of the way of what is stored next; of a large one, a pruning removes the rest.
local function abandon(job)
  call('HSET', P .. 'job:' .. job.id, 'is_receiving', 2) -- it takes no more items
  if not remove(job, SLICE) then
    free(job)
    call('ZADD', P .. 'uploads', 0, job.id)
  end
  write_delayed() -- who waited behind it is let run before what comes now can get in between
  for place in pairs(freed) do
    unblock(place)
  end
  freed = {}
end

-- leases

local function is_held(lease)
  return call('ZSCORE', P .. 'leases', lease)
end

local function start_lease(queue, worker, ids, seconds)
  local lease = next_id()
  call('HSET', P .. 'held', lease, cmsgpack.pack({queue, worker, ids}))
  call('ZADD', P .. 'leases', now + seconds, lease)
  count(queue, 'leases', 1)
  return lease
end

-- Ends a lease that is held, and returns its queue and the ids of its chunks.
local function end_lease(lease)
  local held = cmsgpack.unpack(call('HGET', P .. 'held', lease))
  call('HDEL', P .. 'held', lease)
  call('ZREM', P .. 'leases', lease)
  count(held[1], 'leases', -1)
  if limits_of(held[1]).concurrency then
    ring(held[1])
  end
  return held[1], held[3]
end

-- Takes the items of a chunk out of a batch.
local function stop(c, job)
  job.running = job.running - c.items
  job.is_changed = true
  count(c.queue, 'running', -c.items)
end

-- Appends id, row and body of each chunk to a reply.
local function hand_out(reply, found)
  local ids = {}
  for i = 1, #found do
    ids[i] = found[i].id
  end
  local bodies = each('HMGET', P .. 'bodies', ids)
  for i = 1, #found do
    reply[#reply + 1] = ids[i]
    reply[#reply + 1] = found[i].row
    reply[#reply + 1] = bodies[i]
  end
  return reply
end

-- Writes what the script has counted up.
local function flush()
  write_delayed()
  for place in pairs(freed) do
    unblock(place)
  end
  for _, job in pairs(jobs) do
    if job and job.is_changed then
      save(job)
    end
  end
  write_delayed()
  for queue, of in pairs(counts) do
    for field, by in pairs(of) do
      if by ~= 0 then
        call('HINCRBY', P .. 'queue:' .. queue, field, by)
      end
    end
    call('SADD', P .. 'queues', queue)
  end
  if last then
    call('SET', P .. 'last', string.format('%016.0f', last))
  end
  for queue in pairs(rung) do
    if call('EXISTS', P .. 'wake:' .. queue) == 0 then
      call('LPUSH', P .. 'wake:' .. queue, 1)
    end
  end
end
