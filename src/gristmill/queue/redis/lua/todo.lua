#!lua flags=no-writes
-- Read chunks of a job that no batch has taken. ARGV: job, id to start after, limit. Returns id, row, body, ...
local ids = call('ZRANGEBYSCORE', P .. 'todo:' .. ARGV[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
return hand_out({}, read_chunks(ids))
