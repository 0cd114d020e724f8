#!lua flags=no-writes
-- Read results in the order of settling. ARGV: job, number to start after, limit, kinds. Returns number, value, ...
local limit, numbers, reply = tonumber(ARGV[3]), {}, {}
for i = 4, #ARGV do
  local key = P .. 'results:' .. ARGV[i] .. ':' .. ARGV[1]
  for _, number in ipairs(call('ZRANGEBYSCORE', key, '(' .. ARGV[2], '+inf', 'LIMIT', 0, limit)) do
    numbers[#numbers + 1] = number
  end
end
table.sort(numbers)
for i = 1, math.min(limit, #numbers) do
  reply[#reply + 1] = numbers[i]
  reply[#reply + 1] = call('HGET', P .. 'results:' .. ARGV[1], numbers[i])
end
return reply
