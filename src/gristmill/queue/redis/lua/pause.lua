#!lua flags=allow-oom
-- Pause a queue, or resume it. ARGV: queue, 1 to pause.
local key = P .. 'queue:' .. ARGV[1]
if ARGV[2] == '1' then
  call('HSET', key, 'is_paused', 1)
else
  call('HDEL', key, 'is_paused')
  ring(ARGV[1])
end
call('SADD', P .. 'queues', ARGV[1])
flush()
return 1
