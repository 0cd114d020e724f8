-- Return up to $5 jobs, newest first: of the queue $1, in the state $2, which is final or not by $3, below the
-- number $4; each null is any. States are those of model/job.py.
SELECT * FROM (
    SELECT job.number, job.id, job.queue, job.priority, job.created_at, job.due_at, job.finished_at, job.is_receiving,
        job.is_cancelled, job.total, job.succeeded, job.failed, job.cancelled, leased.running, CASE
        WHEN is_receiving THEN 'receiving'
        WHEN succeeded + failed + cancelled >= total THEN CASE WHEN is_cancelled THEN 'cancelled' ELSE 'completed' END
        WHEN is_cancelled THEN 'cancelling'
        WHEN leased.running + succeeded + failed + cancelled > 0 THEN 'running'
        ELSE 'queued' END AS state
    FROM gristmill.job CROSS JOIN LATERAL (
        SELECT coalesce(sum(items), 0)::bigint AS running FROM gristmill.chunk
        WHERE chunk.job = job.id AND chunk.state = 'leased'
    ) AS leased
    WHERE ($1::text IS NULL OR queue = $1) AND ($3::boolean IS NULL OR (finished_at IS NOT NULL) = $3)
        AND ($4::bigint IS NULL OR number < $4)
) AS listed
WHERE $2::text IS NULL OR state = $2
ORDER BY number DESC LIMIT $5
