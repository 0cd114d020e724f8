#!lua flags=allow-oom
-- Wake one who waits for a queue. ARGV: queue, seconds after which it is of no more use or 0.
ring(ARGV[1])
flush()
if ARGV[2] ~= '0' then
  call('EXPIRE', P .. 'wake:' .. ARGV[1], ARGV[2])
end
return 1
