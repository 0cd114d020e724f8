-- The rows of the store: their names, ids, jobs, counters. Stands in front of every script, chunks.lua behind it.
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
--   job:<id>                   HASH, see JOB, and the callers' ids of its items; jobs, jobs:<queue>, live: ZSETs
--                              job by number
--   finished:<queue>, uploads  ZSETs job by when it became final, by when it was last heard of
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
local REMEMBERED = 3600 -- seconds for which a settled lease is known
local ABANDONED = 60 -- seconds after which an upload of which nothing was heard is that of a dead process

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
    later('ZADD', P .. 'finished:' .. job.queue, now, job.id)
    later('ZREM', P .. 'live', job.id)
    if job.unique_held then
      free(job)
    end
  elseif job.finished_at and not is_final then
    call('HDEL', key, 'finished_at')
    later('ZREM', P .. 'finished:' .. job.queue, job.id)
    later('ZADD', P .. 'live', job.number, job.id)
  end
  call('HSET', key, unpack(row))
  job.is_changed = false
end

-- Keeps what became of items, and returns its number.
local function keep(job, places, value)
  local number, low, high = next_id(), nil, nil
  call('HSET', P .. 'results:' .. job.id, number, value)
  for first, length in string.gmatch(places, '%[(%d+),(%d+)%]') do
    local from = tonumber(first)
    low = math.min(low or from, from)
    high = math.max(high or from, from + length)
  end
  if low then
    call('ZADD', P .. 'spans:' .. job.id, low, number)
    job.widest = math.max(job.widest, high - low)
  end
  job.is_changed = true
  return number
end

-- Counts final outcomes; value is what is kept of them, false for nothing.
local function record(job, kind, items, places, value)
  job[kind] = job[kind] + items
  job.is_changed = true
  if value then
    local number = keep(job, places, value)
    call('ZADD', P .. 'results:' .. kind .. ':' .. job.id, number, number)
  end
end

-- Counts failed items as queued again; what was kept of them counts no more for those who read by place.
local function take_back(job, items, places)
  job.failed = job.failed - items
  keep(job, places, items .. ' again ' .. places .. '\n[]')
end

local function record_cancelled(job, items, places)
  record(job, 'cancelled', items, places, items .. ' cancelled ' .. places .. '\n[]')
end
