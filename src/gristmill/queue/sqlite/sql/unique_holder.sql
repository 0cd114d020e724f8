-- Find the job that a submission would double: itself, or the one that holds its unique key.
-- The last column is that one's number if it is an upload of which nothing was heard since :idle_since.
SELECT id, NULL, 1, NULL FROM gristmill_job WHERE id = :id
UNION ALL
SELECT job.id, held.fingerprint, 0, iif(job.is_receiving = 1 AND job.touched_at < :idle_since, job.number, NULL)
FROM gristmill_unique AS held JOIN gristmill_job AS job ON job.number = held.job
WHERE held.queue = :queue AND held.key = :key AND (held.until IS NULL OR held.until > :now)
LIMIT 1
