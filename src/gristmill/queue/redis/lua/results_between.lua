#!lua flags=no-writes
-- Read the results that may hold places of a range. ARGV: job, first and last place. Returns number, value, ...
-- None is wider than the job's widest, so those that begin too far below the range need no look.
local low = ARGV[2] - tonumber(call('HGET', P .. 'job:' .. ARGV[1], 'widest') or 0)
local numbers, reply = call('ZRANGEBYSCORE', P .. 'spans:' .. ARGV[1], '(' .. low, ARGV[3]), {}
table.sort(numbers)
local values = each('HMGET', P .. 'results:' .. ARGV[1], numbers)
for i = 1, #numbers do
  reply[2 * i - 1], reply[2 * i] = numbers[i], values[i]
end
return reply
