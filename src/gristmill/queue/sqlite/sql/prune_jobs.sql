-- List jobs of a queue that became final before :before, and uploads that have stood still since :idle_since.
SELECT number FROM (
    SELECT number FROM (
        SELECT number FROM gristmill_job WHERE queue = :queue AND finished_at IS NOT NULL AND finished_at < :before
        ORDER BY finished_at LIMIT :limit
    )
    UNION ALL
    SELECT number FROM gristmill_job WHERE is_receiving = 1 AND touched_at < :idle_since
)
LIMIT :limit
