#!lua flags=allow-oom
-- Set the limits of a queue; a full bucket if they are others. ARGV: queue, rate, burst, concurrency: "" for none.
local key, names = P .. 'queue:' .. ARGV[1], {'rate', 'burst', 'concurrency'}
local row, is_same = call('HMGET', key, unpack(names)), true
for i, name in ipairs(names) do
  local wanted = ARGV[i + 1]
  is_same = is_same and (row[i] or '') == wanted
  if wanted == '' then
    call('HDEL', key, name)
  else
    call('HSET', key, name, wanted)
  end
end
if not is_same then
  call('HSET', key, 'tokens', ARGV[3] == '' and 0 or ARGV[3], 'at', now)
end
call('SADD', P .. 'queues', ARGV[1])
ring(ARGV[1])
flush()
return 1
