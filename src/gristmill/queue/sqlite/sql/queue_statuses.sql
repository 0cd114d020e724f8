-- Sum up the items of every queue: by state, and how long the oldest of those that are due has been.
WITH standing (queue, ready, scheduled, blocked, running, dead, oldest_at) AS (
    SELECT queue,
        sum(iif(rank - priority * :aging <= :now, items, 0)), sum(iif(rank - priority * :aging > :now, items, 0)),
        0, 0, 0, min(rank - priority * :aging)
    FROM gristmill_chunk WHERE state = 'ready' GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, sum(items), 0, 0, NULL
    FROM gristmill_chunk WHERE key IS NOT NULL AND state = 'blocked' GROUP BY queue
    UNION ALL  -- less those of uploads: they are not to run yet
    SELECT job.queue, 0, 0, -chunk.items, 0, 0, NULL
    FROM gristmill_job AS job CROSS JOIN gristmill_chunk AS chunk ON chunk.job = job.number
    WHERE job.is_receiving = 1 AND chunk.state = 'blocked'
    UNION ALL
    SELECT queue, 0, 0, 0, items, 0, NULL FROM gristmill_chunk WHERE lease IS NOT NULL
    UNION ALL
    SELECT queue, 0, 0, 0, 0, sum(items), NULL FROM gristmill_chunk WHERE state = 'dead' GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, 0, 0, 0, NULL FROM gristmill_job
    WHERE is_receiving = 1 AND EXISTS (SELECT 1 FROM gristmill_chunk AS chunk WHERE chunk.job = number)
    UNION ALL
    SELECT name, 0, 0, 0, 0, 0, NULL FROM gristmill_queue
)
SELECT standing.queue, coalesce(max(settings.is_paused), 0), sum(ready), sum(scheduled), sum(blocked), sum(running),
    sum(dead), coalesce(max(0.0, :now - min(oldest_at)), 0.0)
FROM standing LEFT JOIN gristmill_queue AS settings ON settings.name = standing.queue
GROUP BY standing.queue
ORDER BY standing.queue
