-- Return jobs that receive items, newest first.
SELECT number, id, queue, priority, created_at, due_at, finished_at, is_receiving, is_cancelled, total, succeeded, failed,
    cancelled, coalesce((
        SELECT sum(chunk.items) FROM gristmill_chunk AS chunk WHERE chunk.job = number AND chunk.state = 'held'
    ), 0)
FROM gristmill_job INDEXED BY gristmill_job_receiving
WHERE number < :before AND (:queue IS NULL OR queue = :queue)
    AND is_receiving = 1
ORDER BY number DESC LIMIT :limit
