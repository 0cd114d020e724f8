-- Return jobs whose items all have their outcome, newest first.
SELECT number, id, queue, priority, created_at, due_at, finished_at, is_receiving, is_cancelled, total, succeeded, failed,
    cancelled, coalesce((
        SELECT sum(chunk.items) FROM gristmill_chunk AS chunk WHERE chunk.job = number AND chunk.state = 'held'
    ), 0)
FROM gristmill_job
WHERE number < :before
    AND finished_at IS NOT NULL AND is_cancelled = 0
ORDER BY number DESC LIMIT :limit
