-- Each queue keeps its jobs for a time of its own, and items that are redriven have no outcome until they have run.

DROP INDEX gristmill.job_finished;
CREATE INDEX job_finished ON gristmill.job (queue, finished_at) WHERE finished_at IS NOT NULL;

-- Remove final jobs of a queue that are old, and uploads that stand still, most at a time, and forget old leases and keys;
-- return how many jobs, and the queues in which others became ready by it.
CREATE FUNCTION gristmill.prune(
    of_queue text, older_than float8, remembered float8, most integer, OUT pruned integer, OUT queues text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    jobs text[];
BEGIN
    jobs := ARRAY(
        SELECT id FROM gristmill.job WHERE queue = of_queue AND finished_at < gristmill.now() - older_than
        ORDER BY finished_at LIMIT most FOR UPDATE SKIP LOCKED
    );
    jobs := jobs || ARRAY(
        SELECT id FROM gristmill.job WHERE is_receiving AND touched_at < gristmill.now() - remembered
        ORDER BY touched_at LIMIT most - cardinality(jobs) FOR UPDATE SKIP LOCKED
    );
    pruned := cardinality(jobs);
    queues := gristmill.remove(jobs);
    DELETE FROM gristmill.settled WHERE lease = ANY (ARRAY(
        SELECT lease FROM gristmill.settled WHERE at < gristmill.now() - remembered ORDER BY at LIMIT 100000
    ));
    DELETE FROM gristmill.unique_key WHERE (queue, key) IN (
        SELECT queue, key FROM gristmill.unique_key WHERE until < gristmill.now() ORDER BY until LIMIT 100000
    );
END $$;

-- Let dead items run again, most at about the most; return the queues they are in, and how many they are.
CREATE OR REPLACE FUNCTION gristmill.redrive(
    of_queue text, of_job text, of_code text, of_before float8, most bigint, OUT redriven bigint, OUT queues text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    chosen bigint[];
    moved_queues text[];
    moved_keys bytea[];
    held record;
BEGIN
    chosen := ARRAY(
        SELECT id FROM (
            SELECT chunk.id, sum(items) OVER (ORDER BY chunk.id) - items AS before
            FROM gristmill.chunk JOIN gristmill.job ON job.id = chunk.job
            WHERE state = 'dead' AND NOT job.is_cancelled
                AND (of_queue IS NULL OR chunk.queue = of_queue) AND (of_job IS NULL OR job.id = of_job)
                AND (of_code IS NULL OR code = of_code) AND (of_before IS NULL OR dead_at < of_before)
        ) AS dead WHERE before < most
    );
    PERFORM FROM gristmill.job WHERE id IN (SELECT job FROM gristmill.chunk WHERE id = ANY (chosen))
    ORDER BY id FOR UPDATE;
    FOR held IN
        SELECT queue, array_agg(DISTINCT key) AS keys FROM gristmill.chunk
        WHERE id = ANY (chosen) AND key IS NOT NULL GROUP BY queue ORDER BY queue
    LOOP
        PERFORM gristmill.lock_keys(held.queue, held.keys);
    END LOOP;
    -- With the locks in hand, look again: what was redriven, cancelled or removed meanwhile stays as it is.
    WITH fresh AS MATERIALIZED (
        SELECT dead.id, nextval(pg_get_serial_sequence('gristmill.chunk', 'id')) AS new_id, priority
        FROM (SELECT id, job FROM gristmill.chunk WHERE id = ANY (chosen) AND state = 'dead' ORDER BY id) AS dead
        JOIN gristmill.job ON job.id = dead.job AND NOT job.is_cancelled
    ), moved AS (
        UPDATE gristmill.chunk SET
            id = fresh.new_id, line = coalesce(chunk.line, chunk.id), attempt = 0, crashes = 0,
            code = NULL, error = NULL, dead_at = NULL, due_at = gristmill.now(),
            rank = gristmill.now() + fresh.priority * 60.0,
            state = CASE WHEN key IS NULL THEN 'ready' ELSE 'blocked' END
        FROM fresh WHERE chunk.id = fresh.id
        RETURNING chunk.id, chunk.job, chunk.queue, chunk.key, chunk.items, chunk.places
    ), taken_back AS (  -- the failures that their jobs have recorded of these items count no more
        INSERT INTO gristmill.result (job, kind, items, places, body)
        SELECT job, 'again', items, places, '[]' FROM moved ORDER BY id
    ), counted AS (
        UPDATE gristmill.job SET failed = failed - freed.items, finished_at = NULL
        FROM (SELECT job, sum(items) AS items FROM moved GROUP BY job) AS freed WHERE job.id = freed.job
    )
    SELECT coalesce(sum(items), 0), array_agg(DISTINCT queue), array_agg(queue), array_agg(key)
    INTO redriven, queues, moved_queues, moved_keys FROM moved;
    FOR held IN
        SELECT moved.queue, array_agg(DISTINCT moved.key) AS keys
        FROM unnest(moved_queues, moved_keys) AS moved (queue, key) WHERE moved.key IS NOT NULL GROUP BY moved.queue
    LOOP
        PERFORM gristmill.unblock(held.queue, held.keys);
    END LOOP;
END $$;
