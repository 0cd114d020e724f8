#!lua flags=allow-oom
-- Extend leases. ARGV: seconds, leases. Returns those that are lost.
local lost = {}
for i = 2, #ARGV do
  if is_held(ARGV[i]) then
    call('ZADD', P .. 'leases', now + ARGV[1], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
