#!lua flags=no-writes
-- Read how many items are dead of each queue and code. Returns slot, items, first and last time, error, ...
local groups, reply = call('HGETALL', P .. 'dead'), {}
for i = 1, #groups, 2 do
  local key = P .. 'dead:' .. groups[i]
  local last = call('ZRANGE', key, -1, -1, 'WITHSCORES')
  reply[#reply + 1] = groups[i]
  reply[#reply + 1] = groups[i + 1]
  reply[#reply + 1] = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  reply[#reply + 1] = last[2]
  reply[#reply + 1] = chunk(last[1]).error
end
return reply
