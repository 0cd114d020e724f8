#!lua flags=allow-oom
-- Note the version of the schema where there is none, or an older one; ARGV: the version of the caller.
-- Returns the one noted. Workers of the older version that run go on; none starts any more.
local noted = tonumber(call('GET', P .. 'schema') or 0)
if noted < tonumber(ARGV[1]) then
  noted = tonumber(ARGV[1])
  call('SET', P .. 'schema', noted)
end
return noted
