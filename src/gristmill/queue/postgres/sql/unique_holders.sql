-- Return who holds the unique keys $2 of the queues $1.
SELECT held.queue, held.key, held.job, held.fingerprint
FROM unnest($1::text[], $2::bytea[]) AS wanted (queue, key)
JOIN gristmill.unique_key AS held ON held.queue = wanted.queue AND held.key = wanted.key
