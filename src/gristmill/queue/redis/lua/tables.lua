-- The rows of the store and what follows from changing them; stands in front of every other script.
--
-- KEYS[1] begins the name of every key and holds the hash tag, so that all are in one slot of a cluster.
-- Times are seconds of the epoch on this server's clock. A script looks first, writes then, and flushes last:
-- what it writes to the same key for many chunks or jobs goes by one call.
--
--   last                       the last id
--   chunks, bodies             HASH id -> row (FIELDS, packed), id -> JSON array of the items, never looked into
--   wait:<priority>:<queue>    ZSET <id>:<items> by due time: what may be claimed, now or later
--   heads                      HASH slot -> the one chunk of an ordering key that is not blocked
--   line:<slot>                ZSET id by line: the blocked chunks of an ordering key
--   todo:<job>                 ZSET id by id: chunks that no batch has taken, blocked ones too
--   job:<id>                   HASH, see JOB; jobs, jobs:<queue>, live: ZSETs job by number
--   finished, uploads          ZSETs job by when it became final, by when it last received items
--   unique:<slot>              who holds a unique key; a TTL if it is held for a time
--   cancelling                 SET of jobs whose cancel has not come to all of their chunks yet
--   held, leases               HASH lease -> {queue, worker, ids}, ZSET lease by expiry
--   settled:<second>           SET of the leases of that second that were settled, with a TTL
--   results:<job>              HASH number -> "<items> <kind> <places>\n<body>"
--   results:<kind>:<job>       ZSET number by number;  spans:<job>: number by its lowest place
--   dead                       HASH slot of queue and code -> items
--   dead:<slot>, dead_of:<job> ZSETs id by time of death
--   queues, queue:<queue>      SET of names, HASH of limits and counters of items
--   wake:<queue>               LIST of at most one token, for whoever waits

local P, call = KEYS[1], redis.call
local clock = call('TIME')
local now = clock[1] + clock[2] / 1000000
local SLICE = 1000 -- arguments of one call: Lua's stack has an end
local REMEMBERED = 3600 -- seconds for which a settled lease is known, and an upload may stand still

local FIELDS = {
  'queue', 'job', 'places', 'items', 'size', 'key', 'line', 'attempt', 'crashes',
  'priority', 'due_at', 'keep', 'code', 'error', 'dead_at',
}
local JOB = {
  'queue', 'number', 'priority', 'due_at', 'keep', 'is_receiving', 'is_cancelled', 'finished_at', 'unique_key',
  'unique_held', 'total', 'running', 'succeeded', 'failed', 'cancelled', 'widest',
}

-- names

-- Names two things in one, whatever characters are in them.
local function slot(queue, rest)
  return #queue .. ':' .. queue .. ':' .. rest
end

local function wait_key(c)
  return P .. 'wait:' .. c.priority .. ':' .. c.queue
end

local function member(c)
  return c.id .. ':' .. c.items
end

local function settled_key(lease)
  return P .. 'settled:' .. string.sub(lease, 1, 10)
end

-- Writes a time so that nothing of it is lost.
local function exact(time)
  return string.format('%.17g', time)
end

-- Runs a command with any number of members, in slices, and returns what it returned in one list.
local function each(command, key, members)
  local found = {}
  for from = 1, #members, SLICE do
    local got = call(command, key, unpack(members, from, math.min(from + SLICE - 1, #members)))
    if type(got) == 'table' then
      for i = 1, #got do
        found[#found + 1] = got[i]
      end
    end
  end
  return found
end

-- writes that wait for flush: what no later part of the script looks at

local delayed = {HSET = {}, ZADD = {}, ZREM = {}}

local function later(command, key, a, b)
  local lists = delayed[command]
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  list[#list + 1] = a
  list[#list + 1] = b
end

local function write_delayed()
  for _, command in ipairs({'HSET', 'ZADD', 'ZREM'}) do -- what is added may go again, not the other way round
    for key, list in pairs(delayed[command]) do
      each(command, key, list)
    end
    delayed[command] = {}
  end
end

-- ids: microseconds of the epoch, or one more than the last. They ascend, and do not repeat even when the
-- server came back without its last second. 16 digits, so that they sort as text; doubles hold them exactly.

local last

local function next_id()
  last = last or math.max(tonumber(call('GET', P .. 'last') or 0), clock[1] * 1000000 + clock[2] - 1)
  last = last + 1
  return string.format('%016.0f', last)
end

-- counters of queues, and tokens for those who wait

local counts, rung = {}, {}

local function count(queue, field, by)
  local of = counts[queue] or {}
  counts[queue] = of
  of[field] = (of[field] or 0) + by
end

local function ring(queue)
  rung[queue] = true
end

local function limits_of(queue)
  local row = call('HMGET', P .. 'queue:' .. queue,
    'is_paused', 'rate', 'burst', 'concurrency', 'tokens', 'at', 'leases')
  return {
    is_paused = row[1], rate = tonumber(row[2] or nil), burst = tonumber(row[3] or nil),
    concurrency = tonumber(row[4] or nil), tokens = tonumber(row[5] or nil), at = tonumber(row[6] or nil),
    leases = tonumber(row[7] or 0),
  }
end

-- jobs: read once, written by flush

local jobs = {}

local function job_of(id)
  local job = jobs[id]
  if job == nil then
    local row = call('HMGET', P .. 'job:' .. id, unpack(JOB))
    job = row[1] and {
      id = id, queue = row[1], number = row[2], priority = tonumber(row[3]), due_at = row[4], keep = row[5] == '1',
      is_receiving = row[6], is_cancelled = row[7], finished_at = row[8], unique_key = row[9], unique_held = row[10],
      total = tonumber(row[11]), running = tonumber(row[12]), succeeded = tonumber(row[13]),
      failed = tonumber(row[14]), cancelled = tonumber(row[15]), widest = tonumber(row[16]),
    }
    jobs[id] = job
  end
  return job
end

-- Lets go of a job's unique key, if it still holds it.
local function free(job)
  local key = P .. 'unique:' .. slot(job.queue, job.unique_key)
  local found = call('GET', key)
  if found and cmsgpack.unpack(found)[1] == job.id then
    call('DEL', key)
  end
end

-- Writes the counters of a job, and whether they make it final.
local function save(job)
  local key = P .. 'job:' .. job.id
  local row = {
    'total', job.total, 'running', job.running, 'succeeded', job.succeeded,
    'failed', job.failed, 'cancelled', job.cancelled, 'widest', job.widest,
  }
  local is_done = job.succeeded + job.failed + job.cancelled >= job.total
  local is_final = is_done and not job.is_receiving
  if is_final and not job.finished_at then
    row[13], row[14] = 'finished_at', now
    later('ZADD', P .. 'finished', now, job.id)
    later('ZREM', P .. 'live', job.id)
    if job.unique_held then
      free(job)
    end
  elseif job.finished_at and not is_final then
    call('HDEL', key, 'finished_at')
    later('ZREM', P .. 'finished', job.id)
    later('ZADD', P .. 'live', job.number, job.id)
  end
  call('HSET', key, unpack(row))
  job.is_changed = false
end

-- Counts final outcomes; value is what is kept of them, false for nothing.
local function record(job, kind, items, places, value)
  job[kind] = job[kind] + items
  job.is_changed = true
  if not value then
    return
  end
  local number, low, high = next_id(), nil, nil
  call('HSET', P .. 'results:' .. job.id, number, value)
  call('ZADD', P .. 'results:' .. kind .. ':' .. job.id, number, number)
  for first, length in string.gmatch(places, '%[(%d+),(%d+)%]') do
    local from = tonumber(first)
    low = math.min(low or from, from)
    high = math.max(high or from, from + length)
  end
  if low then
    call('ZADD', P .. 'spans:' .. job.id, low, number)
    job.widest = math.max(job.widest, high - low)
  end
end

local function record_cancelled(job, items, places)
  record(job, 'cancelled', items, places, items .. ' cancelled ' .. places .. '\n[]')
end

-- chunks

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
  for _, index in ipairs({'jobs', 'jobs:' .. job.queue, 'live', 'finished', 'uploads'}) do
    later('ZREM', P .. index, job.id)
  end
  call('SREM', P .. 'cancelling', job.id)
  jobs[job.id] = false
  return true
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
