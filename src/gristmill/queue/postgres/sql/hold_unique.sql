-- Take unique keys that are free, or whose time is over; return the jobs that got theirs.
-- $1 queues, $2 keys, $3 jobs, $4 seconds, $5 fingerprints; sorted by queue and key, so that two calls cannot deadlock.
INSERT INTO gristmill.unique_key AS held (queue, key, job, until, fingerprint)
SELECT queue, key, job, gristmill.now() + seconds, fingerprint
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::float8[], $5::bytea[])
    AS wanted (queue, key, job, seconds, fingerprint)
ON CONFLICT (queue, key) DO UPDATE
SET job = excluded.job, until = excluded.until, fingerprint = excluded.fingerprint
WHERE held.until <= gristmill.now()
RETURNING job
