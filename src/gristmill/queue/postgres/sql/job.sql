-- Return the job $1 as it stands.
SELECT job.*, (
    SELECT coalesce(sum(items), 0)::bigint FROM gristmill.chunk WHERE chunk.job = job.id AND state = 'leased'
) AS running
FROM gristmill.job WHERE id = $1
