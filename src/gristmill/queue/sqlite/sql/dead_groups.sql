-- Count dead items by queue and code, and show what the last of each was told.
SELECT found.queue, found.code, found.items, found.first_at, found.last_at, last.error
FROM (
    SELECT queue, code, sum(items) AS items, min(dead_at) AS first_at, max(dead_at) AS last_at, max(id) AS last_id
    FROM gristmill_chunk
    WHERE state = 'dead' AND (:queue IS NULL OR queue = :queue) AND (:code IS NULL OR code = :code)
        AND (:before IS NULL OR dead_at < :before)
        AND (:job IS NULL OR job = (SELECT number FROM gristmill_job WHERE id = :job))
    GROUP BY queue, code
) AS found JOIN gristmill_chunk AS last ON last.id = found.last_id
ORDER BY found.items DESC, found.queue, found.code
