-- Store more chunks of an upload, whose row is locked. $1 job, $2 items of all, $3 places, $4 items, $5 bodies,
-- $6 keys, $7 lines, $8 attempts, $9 crashes, $10 delays, $11 whether one of the same key stands before in this list.
WITH receiving AS (
    UPDATE gristmill.job SET total = total + $2, touched_at = gristmill.now() WHERE id = $1
    RETURNING queue, due_at, priority, keep_results
)
INSERT INTO gristmill.chunk (
    queue, state, rank, due_at, job, line, items, size, attempt, crashes, keep_results, key, places, body
)
SELECT receiving.queue,
    CASE WHEN follows OR key IS NOT NULL AND EXISTS (
        SELECT FROM gristmill.chunk AS head
        WHERE head.queue = receiving.queue AND head.key = added.key
            AND head.state <> 'blocked' AND head.state <> 'dead'
    ) THEN 'blocked' ELSE 'receiving' END,
    receiving.due_at + delay + receiving.priority * 60.0, receiving.due_at + delay,
    $1, nullif(line, 0), items, length(body), attempt, crashes, receiving.keep_results, key, places, body
FROM receiving CROSS JOIN unnest(
    $3::text[], $4::integer[], $5::bytea[], $6::bytea[], $7::bigint[], $8::integer[], $9::integer[], $10::float8[],
    $11::boolean[]
) AS added (places, items, body, key, line, attempt, crashes, delay, follows)
