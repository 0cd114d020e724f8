-- Return the job $1 as it stands.
SELECT job.number, job.id, job.queue, job.priority, job.created_at, job.due_at, job.finished_at, job.is_receiving,
    job.is_cancelled, job.total, job.succeeded, job.failed, job.cancelled, (
    SELECT coalesce(sum(items), 0)::bigint FROM gristmill.chunk WHERE chunk.job = job.id AND state = 'leased'
) AS running
FROM gristmill.job WHERE id = $1
