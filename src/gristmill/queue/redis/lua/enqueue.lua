#!lua
-- Store jobs with their chunks. ARGV: packed jobs, then the bodies of all chunks in their order.
-- A job: {id, priority, queue, delay, run_at, keep, is_receiving, unique key, its seconds, its fingerprint, ids,
-- chunks}.
-- Returns created, matches and id for each job: those of the job that holds the unique key, where there is one.
local function holder(id, queue, key, fingerprint)
  if call('EXISTS', P .. 'job:' .. id) == 1 then
    return {0, 1, id}
  end
  local found = key and call('GET', P .. 'unique:' .. slot(queue, key))
  if not found then
    return nil
  end
  local held = cmsgpack.unpack(found)
  local upload = job_of(held[1])
  if upload and is_abandoned(upload) then
    abandon(upload)
    return nil
  end
  return {0, (not fingerprint or fingerprint == held[2]) and 1 or 0, held[1]}
end

local function hold(job, seconds, fingerprint)
  local key = P .. 'unique:' .. slot(job.queue, job.unique_key)
  local value = cmsgpack.pack({job.id, fingerprint})
  if not seconds then
    call('SET', key, value)
  elseif seconds > 0 then
    call('SET', key, value, 'PX', string.format('%.0f', math.ceil(seconds * 1000)))
  end
end

local function create(id, priority, queue, delay, run_at, keep, is_receiving, key, seconds, fingerprint, ids)
  local due_at = run_at and math.max(now, run_at) or now + delay
  local number, name = next_id(), P .. 'job:' .. id
  call('HSET', name, 'queue', queue, 'number', number, 'priority', priority, 'created_at', now, 'due_at', due_at,
    'keep', keep and 1 or 0)
  later('ZADD', P .. 'jobs', number, id)
  later('ZADD', P .. 'jobs:' .. queue, number, id)
  later('ZADD', P .. 'live', number, id)
  if ids then
    call('HSET', name, 'ids', ids)
  end
  if is_receiving then
    call('HSET', name, 'is_receiving', 1)
    call('ZADD', P .. 'uploads', now, id)
  end
  if key then
    call('HSET', name, 'unique_key', key)
    if not seconds then
      call('HSET', name, 'unique_held', 1)
    end
  end
  jobs[id] = {
    id = id, queue = queue, number = number, priority = priority, due_at = due_at, keep = keep,
    is_receiving = is_receiving, unique_key = key, unique_held = key and not seconds,
    total = 0, running = 0, succeeded = 0, failed = 0, cancelled = 0, widest = 0,
  }
  if key then
    hold(jobs[id], seconds, fingerprint)
  end
  return jobs[id]
end

local at, reply = 2, {}
for _, new in ipairs(cmsgpack.unpack(ARGV[1])) do
  local chunks = new[12]
  local answer = holder(new[1], new[3], new[8], new[10])
  if answer then
    at = at + #chunks
  else
    local job = create(unpack(new, 1, 11))
    for _, values in ipairs(chunks) do
      job.total = job.total + values[2]
      put(sent_chunk(values, job.due_at), ARGV[at], job)
      at = at + 1
    end
    save(job) -- without items it is final, and the next may have its unique key
    answer = {1, 1, new[1]}
  end
  for i = 1, 3 do
    reply[#reply + 1] = answer[i]
  end
end
flush()
return reply
