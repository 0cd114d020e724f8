-- Find the job that a submission would double: itself, or the one that holds its unique key.
SELECT id, NULL, 1 FROM gristmill_job WHERE id = :id
UNION ALL
SELECT job.id, held.fingerprint, 0
FROM gristmill_unique AS held JOIN gristmill_job AS job ON job.number = held.job
WHERE held.queue = :queue AND held.key = :key AND (held.until IS NULL OR held.until > :now)
LIMIT 1
