#!lua flags=allow-oom
-- Note the version of the schema where there is none; ARGV: the version of the caller. Returns the one noted.
call('SET', P .. 'schema', ARGV[1], 'NX')
return call('GET', P .. 'schema')
