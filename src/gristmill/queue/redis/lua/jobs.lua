#!lua flags=no-writes
-- Read jobs of an index, newest first. ARGV: index, number to start below or +inf, limit, fields.
-- Returns id and values of the fields for each.
local ids = call('ZREVRANGEBYSCORE', P .. ARGV[1], '(' .. ARGV[2], '-inf', 'LIMIT', 0, ARGV[3])
local reply = {}
for i, id in ipairs(ids) do
  reply[2 * i - 1], reply[2 * i] = id, call('HMGET', P .. 'job:' .. id, unpack(ARGV, 4))
end
return reply
