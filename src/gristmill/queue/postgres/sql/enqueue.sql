-- Store jobs, and chunks of these or of jobs stored just before in the same transaction.
-- Jobs: $1 ids, $2 queues, $3 priorities, $4 delays, $5 run_at, $6 keep results, $7 unique keys, $8 items,
-- $9 whether they receive, $10 ids. Chunks: $11 jobs, $12 queues, $13 priorities, $14 delays (the job's and their own),
-- $15 run_at, $16 keep results, $17 places, $18 items, $19 bodies, $20 keys, $21 lines, $22 attempts,
-- $23 crashes, $24 codes, $25 errors, $26 whether one of the same key stands before in this list.
WITH stored AS (
    INSERT INTO gristmill.job (
        id, queue, priority, keep_results, unique_key, created_at, due_at, touched_at, finished_at, is_receiving, total,
        ids
    )
    SELECT job.id, job.queue, job.priority, job.keep, job.unique_key, gristmill.now(),
        greatest(gristmill.now() + job.delay, job.run_at), gristmill.now(),
        CASE WHEN job.items = 0 AND NOT job.receives THEN gristmill.now() END, job.receives, job.items, job.ids
    FROM unnest(
        $1::text[], $2::text[], $3::smallint[], $4::float8[], $5::float8[], $6::boolean[], $7::bytea[], $8::bigint[],
        $9::boolean[], $10::bytea[]
    ) AS job (id, queue, priority, delay, run_at, keep, unique_key, items, receives, ids)
)
INSERT INTO gristmill.chunk (
    queue, state, rank, due_at, job, line, items, size, attempt, crashes, keep_results, dead_at, key, places, code,
    error, body
)
SELECT queue,
    CASE
        WHEN code IS NOT NULL THEN 'dead'
        WHEN follows OR key IS NOT NULL AND EXISTS (
            SELECT FROM gristmill.chunk AS head
            WHERE head.queue = added.queue AND head.key = added.key AND head.state <> 'blocked' AND head.state <> 'dead'
        ) THEN 'blocked'
        WHEN greatest(gristmill.now() + delay, run_at) > gristmill.now() THEN 'scheduled'
        ELSE 'ready'
    END,
    greatest(gristmill.now() + delay, run_at) + priority * 60.0, greatest(gristmill.now() + delay, run_at),
    job, nullif(line, 0), items, length(body), attempt, crashes, keep,
    CASE WHEN code IS NOT NULL THEN gristmill.now() END, key, places, code, error, body
FROM unnest(
    $11::text[], $12::text[], $13::smallint[], $14::float8[], $15::float8[], $16::boolean[], $17::text[],
    $18::integer[], $19::bytea[], $20::bytea[], $21::bigint[], $22::integer[], $23::integer[], $24::text[], $25::text[],
    $26::boolean[]
) AS added (
    job, queue, priority, delay, run_at, keep, places, items, body, key, line, attempt, crashes, code, error, follows
)
