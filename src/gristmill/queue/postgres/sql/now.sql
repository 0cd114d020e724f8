-- Return the clock of the server, in seconds of the epoch.
SELECT extract(epoch FROM statement_timestamp())::float8
