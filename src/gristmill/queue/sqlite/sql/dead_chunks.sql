-- List dead chunks of jobs that were not cancelled, oldest first.
SELECT chunk.id, chunk.job, chunk.places, chunk.items, chunk.queue, chunk.key
FROM gristmill_chunk AS chunk INDEXED BY gristmill_chunk_dead JOIN gristmill_job AS job ON job.number = chunk.job
WHERE chunk.state = 'dead' AND job.is_cancelled = 0
    AND (:queue IS NULL OR chunk.queue = :queue) AND (:code IS NULL OR chunk.code = :code)
    AND (:before IS NULL OR chunk.dead_at < :before) AND (:job IS NULL OR chunk.job = (SELECT number FROM gristmill_job WHERE id = :job))
ORDER BY chunk.id
