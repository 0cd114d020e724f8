-- Return jobs of which something has begun, newest first.
SELECT number, id, queue, priority, created_at, due_at, finished_at, is_receiving, is_cancelled, total, succeeded, failed,
    cancelled, coalesce((
        SELECT sum(chunk.items) FROM gristmill_chunk AS chunk WHERE chunk.job = number AND chunk.state = 'held'
    ), 0)
FROM gristmill_job INDEXED BY gristmill_job_open
WHERE number < :before AND (:queue IS NULL OR queue = :queue)
    AND finished_at IS NULL AND is_receiving = 0 AND is_cancelled = 0 AND (
        succeeded + failed + cancelled > 0
        OR EXISTS (SELECT 1 FROM gristmill_chunk AS chunk WHERE chunk.job = number AND chunk.state = 'held')
    )
ORDER BY number DESC LIMIT :limit
