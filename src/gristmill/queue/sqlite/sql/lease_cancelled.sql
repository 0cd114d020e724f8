-- List the chunks of a lease whose jobs were cancelled meanwhile.
SELECT chunk.id, chunk.job, chunk.places, chunk.items, chunk.queue, chunk.key
FROM gristmill_chunk AS chunk JOIN gristmill_job AS job ON job.number = chunk.job
WHERE chunk.lease = ? AND job.is_cancelled = 1
ORDER BY chunk.id
