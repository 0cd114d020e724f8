-- List the chunks of a lease by job and ordering key.
SELECT DISTINCT job.id, job.number, job.queue, job.priority, job.is_cancelled, chunk.key
FROM gristmill_chunk AS chunk JOIN gristmill_job AS job ON job.number = chunk.job
WHERE chunk.lease = ?
