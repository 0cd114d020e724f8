-- Return chunks of a job that nobody has claimed.
SELECT chunk.id, chunk.queue, job.id, chunk.places, chunk.items, body.body, chunk.key,
    iif(chunk.line = 0, chunk.id, chunk.line), chunk.attempt, chunk.crashes, job.keep_results
FROM gristmill_job AS job
JOIN gristmill_chunk AS chunk ON chunk.job = job.number
JOIN gristmill_body AS body ON body.chunk = chunk.id
WHERE job.id = ? AND chunk.id > ? AND chunk.state IN ('receiving', 'ready', 'blocked')
ORDER BY chunk.id LIMIT ?
