-- Lease the first ready chunks of a queue that fit, and make due ones ready for the claims after this one.
-- $1 queue, $2 worker, $3 seconds, $4 items, $5 bytes, $6 chunks to look at, $7 whether its limits were seen to.
-- One row a chunk, by rank; one without a chunk if nothing could be leased. No row of a job is written.
WITH gate AS MATERIALIZED (
    SELECT CASE WHEN is_paused THEN 'paused' ELSE 'limited' END AS closed FROM gristmill.queue
    WHERE name = $1 AND (is_paused OR rate IS NOT NULL OR concurrency IS NOT NULL)
), promoted AS (
    UPDATE gristmill.chunk SET state = 'ready' WHERE id = ANY (ARRAY(
        SELECT id FROM gristmill.chunk WHERE queue = $1 AND state = 'scheduled' AND due_at <= gristmill.now()
        ORDER BY due_at LIMIT $6 FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
), candidates AS MATERIALIZED (
    SELECT id, rank, items, size, crashes FROM gristmill.chunk
    WHERE queue = $1 AND state = 'ready' AND ($7::boolean OR NOT EXISTS (SELECT FROM gate))
    ORDER BY rank, id LIMIT $6 FOR UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, row_number() OVER line AS place, sum(items) OVER line AS items, sum(size) OVER line AS size,
            sum(crashes) OVER line AS crashes
        FROM candidates WINDOW line AS (ORDER BY rank, id ROWS UNBOUNDED PRECEDING)
    ) AS summed
    WHERE place = 1 OR items <= $4::bigint AND size <= $5::bigint AND crashes = 0
), lease AS (
    INSERT INTO gristmill.lease (queue, worker, expires_at)
    SELECT $1, $2, gristmill.now() + $3::float8 WHERE EXISTS (SELECT FROM taken)
    RETURNING id
), leased AS (
    UPDATE gristmill.chunk SET state = 'leased', lease = (SELECT id FROM lease)
    WHERE id = ANY (ARRAY(SELECT id FROM taken))
    RETURNING lease, id, job, places, items, body, key, coalesce(line, id) AS line, attempt, crashes, keep_results, rank
)
SELECT leased.*,
    (SELECT count(*) FROM candidates) AS found,
    (SELECT count(*) FROM promoted) AS promoted,
    (SELECT closed FROM gate) AS closed,
    leased.id IS NULL AND (
        SELECT id FROM gristmill.chunk WHERE queue = $1 AND state = 'ready' ORDER BY rank, id LIMIT 1
    ) IS NOT NULL AS contended,
    CASE WHEN leased.id IS NULL THEN (
        SELECT due_at - gristmill.now() FROM gristmill.chunk
        WHERE queue = $1 AND state = 'scheduled' AND due_at > gristmill.now() ORDER BY due_at LIMIT 1
    ) END AS due_in
FROM (SELECT) AS always LEFT JOIN leased ON true
ORDER BY leased.rank, leased.id
