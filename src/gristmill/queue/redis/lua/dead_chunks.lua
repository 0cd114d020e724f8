#!lua flags=no-writes
-- Read dead chunks, oldest first. ARGV: dead:<slot> or dead_of:<job>, how many to pass over, limit. Returns id, row, ...
local reply = {}
for i, c in ipairs(read_chunks(call('ZRANGE', P .. ARGV[1], ARGV[2], ARGV[2] + ARGV[3] - 1))) do
  reply[2 * i - 1], reply[2 * i] = c.id, c.row
end
return reply
