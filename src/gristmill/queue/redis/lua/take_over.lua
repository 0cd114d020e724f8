#!lua flags=allow-oom
-- Turn the lease that died first into a new one. ARGV: worker, seconds. Returns {queue, lease, id, row, body, ...}, or {}.
local dead = call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, 1)[1]
if not dead then
  return {}
end
local queue, ids = end_lease(dead)
rung[queue] = nil -- no lease of the queue has come free
local lease = start_lease(queue, ARGV[1], ids, tonumber(ARGV[2]))
flush()
return hand_out({queue, lease}, read_chunks(ids))
