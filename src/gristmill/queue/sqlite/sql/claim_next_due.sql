-- Return when the next chunk of queue ?1 is due; ?2 is what a step of priority weighs.
WITH priority (step) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
SELECT min((
    SELECT rank FROM gristmill_chunk
    WHERE queue = ?1 AND state = 'ready' AND priority = step
    ORDER BY rank LIMIT 1
) - step * ?2)
FROM priority
