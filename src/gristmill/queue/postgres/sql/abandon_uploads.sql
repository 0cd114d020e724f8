-- Remove up to $2 uploads of which nothing was heard for $1 seconds, of the ids $3 or of all; return how many, and the
-- queues in which others became ready by it. One that somebody holds at the moment stays: it is touched, or removed.
WITH idle AS MATERIALIZED (
    SELECT id FROM gristmill.job
    WHERE is_receiving AND touched_at < gristmill.now() - $1::float8 AND ($3::text[] IS NULL OR id = ANY ($3::text[]))
    ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED
), jobs AS MATERIALIZED (
    SELECT coalesce(array_agg(id), '{}') AS ids FROM idle
)
SELECT cardinality(ids) AS pruned, gristmill.remove(ids) AS queues FROM jobs
