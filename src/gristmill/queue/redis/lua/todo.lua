#!lua flags=no-writes
-- Read chunks of a job that no batch has taken. ARGV: job, id to start after, limit, 1 with bodies. Returns id, row, body.
local found = read_chunks(
  call('ZRANGEBYSCORE', P .. 'todo:' .. ARGV[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3]))
if ARGV[4] == '1' then
  return hand_out({}, found)
end
local reply = {}
for i, c in ipairs(found) do
  reply[3 * i - 2], reply[3 * i - 1], reply[3 * i] = c.id, c.row, ''
end
return reply
