#!lua flags=no-writes
-- Read the places of a job that no batch has taken. ARGV: job, id to start after, limit. Returns id, places, ...
local reply = {}
local ids = call('ZRANGEBYSCORE', P .. 'todo:' .. ARGV[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
for i, c in ipairs(read_chunks(ids)) do
  reply[2 * i - 1], reply[2 * i] = c.id, c.places
end
return reply
