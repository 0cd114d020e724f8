#!lua flags=no-writes
-- Read chunks as they are now. ARGV: ids. Returns id, row, body, ... of those that are still there.
local rows, found = each('HMGET', P .. 'chunks', ARGV), {}
for i = 1, #ARGV do
  if rows[i] then
    found[#found + 1] = read_chunk(ARGV[i], rows[i])
  end
end
return hand_out({}, found)
