-- List the chunks of a job that nobody has claimed.
SELECT id, job, places, items, queue, key FROM gristmill_chunk
WHERE job = ? AND state IN ('receiving', 'ready', 'blocked')
ORDER BY id
