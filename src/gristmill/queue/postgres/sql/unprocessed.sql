-- Return up to $3 chunks of the job $1 above the id $2 that no batch has taken.
SELECT id, queue, job, places, items, body, key, coalesce(line, id) AS line, attempt, crashes, keep_results
FROM gristmill.chunk WHERE job = $1 AND id > $2 AND state NOT IN ('leased', 'dead') ORDER BY id LIMIT $3
