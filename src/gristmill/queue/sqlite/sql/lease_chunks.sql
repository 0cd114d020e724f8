-- Return the chunks of a lease, in the order in which they were claimed.
SELECT chunk.id, chunk.queue, job.id, chunk.places, chunk.items, body.body, chunk.key,
    iif(chunk.line = 0, chunk.id, chunk.line), chunk.attempt, chunk.crashes, job.keep_results
FROM gristmill_chunk AS chunk
JOIN gristmill_job AS job ON job.number = chunk.job
JOIN gristmill_body AS body ON body.chunk = chunk.id
WHERE chunk.lease = ?
ORDER BY chunk.rank, chunk.id
