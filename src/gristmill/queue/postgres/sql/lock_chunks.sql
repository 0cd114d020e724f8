-- Lock those of the chunks $1 that still wait and that nobody is just claiming.
SELECT id, queue, job, places, items, body, key, coalesce(line, id) AS line, attempt, crashes, keep_results
FROM gristmill.chunk WHERE id = ANY ($1::bigint[]) AND state NOT IN ('leased', 'dead')
ORDER BY id FOR UPDATE SKIP LOCKED
