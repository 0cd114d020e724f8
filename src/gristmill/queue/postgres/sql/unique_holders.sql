-- Return who holds the unique keys $2 of the queues $1, and whether that is an upload of which nothing was heard for $3
-- seconds, which this transaction may remove.
SELECT held.queue, held.key, held.job, held.fingerprint,
    coalesce(job.is_receiving AND job.touched_at < gristmill.now() - $3::float8, false)
    AND current_setting('transaction_isolation') = 'read committed' AS is_abandoned
FROM unnest($1::text[], $2::bytea[]) AS wanted (queue, key)
JOIN gristmill.unique_key AS held ON held.queue = wanted.queue AND held.key = wanted.key
LEFT JOIN gristmill.job ON job.id = held.job
