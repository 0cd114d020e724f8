-- Return how every queue stands that has a limit, is paused, or has chunks. Reads all chunks, without their bodies.
SELECT name, coalesce(is_paused, false) AS is_paused, coalesce(ready, 0) AS ready,
    coalesce(scheduled, 0) AS scheduled, coalesce(blocked, 0) AS blocked, coalesce(running, 0) AS running,
    coalesce(dead, 0) AS dead, coalesce(oldest_age, 0.0) AS oldest_age
FROM (
    SELECT queue AS name,
        sum(items) FILTER (WHERE is_due) AS ready,
        sum(items) FILTER (WHERE state = 'scheduled' AND NOT is_due) AS scheduled,
        sum(items) FILTER (WHERE state = 'blocked' AND NOT is_receiving) AS blocked,
        sum(items) FILTER (WHERE state = 'leased') AS running,
        sum(items) FILTER (WHERE state = 'dead') AS dead,
        greatest(0.0, gristmill.now() - min(due_at) FILTER (WHERE is_due)) AS oldest_age
    FROM (
        SELECT queue, state, items, due_at,
            state = 'ready' OR state = 'scheduled' AND due_at <= gristmill.now() AS is_due,
            state = 'blocked' AND (SELECT is_receiving FROM gristmill.job WHERE id = chunk.job) AS is_receiving
        FROM gristmill.chunk
    ) AS each GROUP BY queue
) AS counted
FULL JOIN (
    SELECT name, is_paused FROM gristmill.queue WHERE is_paused OR rate IS NOT NULL OR concurrency IS NOT NULL
) AS settings USING (name)
ORDER BY name
