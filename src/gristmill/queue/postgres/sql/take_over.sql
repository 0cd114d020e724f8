-- Turn one lease that died into a new one of the worker $1, for $2 seconds, with the same chunks.
WITH dead AS (
    DELETE FROM gristmill.lease WHERE id = (
        SELECT id FROM gristmill.lease WHERE expires_at <= gristmill.now()
        ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING id, queue
), fresh AS (
    INSERT INTO gristmill.lease (queue, worker, expires_at)
    SELECT queue, $1, gristmill.now() + $2::float8 FROM dead
    RETURNING id
), moved AS (
    UPDATE gristmill.chunk SET lease = (SELECT id FROM fresh) WHERE lease = (SELECT id FROM dead)
    RETURNING lease, queue, id, job, places, items, body, key, coalesce(line, id) AS line, attempt, crashes,
        keep_results, rank
)
SELECT * FROM moved ORDER BY rank, id
