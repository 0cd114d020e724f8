-- Walk the due chunks of queue ?1 at ?2 in order of rank; ?3 is what a step of priority weighs.
-- One search in the index for each priority, merged as they are read: what waits for later is not walked over.
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 0 AND rank <= ?2 + 0 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 1 AND rank <= ?2 + 1 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 2 AND rank <= ?2 + 2 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 3 AND rank <= ?2 + 3 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 4 AND rank <= ?2 + 4 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 5 AND rank <= ?2 + 5 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 6 AND rank <= ?2 + 6 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 7 AND rank <= ?2 + 7 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 8 AND rank <= ?2 + 8 * ?3
UNION ALL
SELECT id, items, size, crashes, rank FROM gristmill_chunk
WHERE queue = ?1 AND state = 'ready' AND priority = 9 AND rank <= ?2 + 9 * ?3
ORDER BY rank, id
