-- List who has held a snapshot of this database for over $1 seconds, the oldest first: dead rows are kept for them.
SELECT 'process ' || pid || ' (' || coalesce(nullif(application_name, ''), usename, 'unknown') || ')' AS who,
    extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND backend_xmin IS NOT NULL AND xact_start < clock_timestamp() - make_interval(secs => $1::float8)
UNION ALL
SELECT 'the prepared transaction ' || gid, extract(epoch FROM clock_timestamp() - prepared)::float8
FROM pg_prepared_xacts
WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => $1::float8)
ORDER BY seconds DESC
LIMIT 10
