-- What ends jobs, or parts of them. The caller holds the locks of the jobs.

-- Free the unique keys of jobs that have become final.
CREATE FUNCTION gristmill.free_unique(jobs text[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM gristmill.unique_key AS held USING gristmill.job
    WHERE job.id = ANY (jobs) AND job.finished_at IS NOT NULL AND job.unique_key IS NOT NULL
        AND held.queue = job.queue AND held.key = job.unique_key AND held.job = job.id AND held.until IS NULL
$$;

-- Count cancelled items of a job, and note it if it has become final.
CREATE FUNCTION gristmill.count_cancelled(of_job text, items bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gristmill.job SET
        cancelled = cancelled + count_cancelled.items,
        finished_at = CASE
            WHEN NOT is_receiving AND succeeded + failed + cancelled + count_cancelled.items >= total
            THEN coalesce(finished_at, gristmill.now()) END
    WHERE id = of_job;
    PERFORM gristmill.free_unique(ARRAY[of_job]);
END $$;

-- Cancel what of a cancelled job is not running; tell whether others became ready by it.
CREATE FUNCTION gristmill.cancel_waiting(of_job text) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    of_queue text;
    keys bytea[];
    gone bigint;
BEGIN
    SELECT min(queue), array_agg(DISTINCT key) FILTER (WHERE key IS NOT NULL) INTO of_queue, keys
    FROM gristmill.chunk WHERE job = of_job AND state NOT IN ('leased', 'dead');
    IF keys IS NOT NULL THEN
        PERFORM gristmill.lock_keys(of_queue, keys);
    END IF;
    WITH gone AS (
        DELETE FROM gristmill.chunk WHERE job = of_job AND state NOT IN ('leased', 'dead')
        RETURNING id, places, chunk.items
    ), kept AS (
        INSERT INTO gristmill.result (job, kind, items, places, body)
        SELECT of_job, 'cancelled', gone.items, gone.places, '[]' FROM gone ORDER BY id
        RETURNING items
    )
    SELECT coalesce(sum(items), 0) INTO gone FROM kept;
    PERFORM gristmill.count_cancelled(of_job, gone);
    RETURN keys IS NOT NULL AND gristmill.unblock(of_queue, keys);
END $$;

-- Cancel a job. wakes: its queue, if chunks of others became ready by it.
CREATE FUNCTION gristmill.cancel(of_job text, OUT is_known boolean, OUT wakes text) LANGUAGE plpgsql AS $$
DECLARE
    of_queue text;
    is_final boolean;
BEGIN
    SELECT queue, finished_at IS NOT NULL INTO of_queue, is_final FROM gristmill.job WHERE id = of_job FOR UPDATE;
    is_known := FOUND;
    IF is_final OR NOT is_known THEN
        RETURN;
    END IF;
    UPDATE gristmill.job SET is_cancelled = true, is_receiving = false WHERE id = of_job;
    IF gristmill.cancel_waiting(of_job) THEN
        wakes := of_queue;
    END IF;
END $$;

-- Let the items of an upload run; return its queue, or null if no such job is receiving.
CREATE FUNCTION gristmill.commit_upload(of_job text) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    of_queue text;
    keys bytea[];
BEGIN
    SELECT queue INTO of_queue FROM gristmill.job WHERE id = of_job AND is_receiving FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(DISTINCT key) INTO keys FROM gristmill.chunk WHERE job = of_job AND key IS NOT NULL;
    IF keys IS NOT NULL THEN
        PERFORM gristmill.lock_keys(of_queue, keys);
    END IF;
    UPDATE gristmill.job SET
        is_receiving = false,
        finished_at = CASE WHEN succeeded + failed + cancelled >= total THEN gristmill.now() END
    WHERE id = of_job;
    UPDATE gristmill.chunk SET state = CASE WHEN due_at > gristmill.now() THEN 'scheduled' ELSE 'ready' END
    WHERE job = of_job AND state = 'receiving';
    PERFORM gristmill.free_unique(ARRAY[of_job]);
    RETURN of_queue;
END $$;

-- Remove jobs, of which nothing runs, with all that is theirs; return the queues in which others became ready by it.
CREATE FUNCTION gristmill.remove(jobs text[]) RETURNS text[] LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    held record;
    wakes text[] := '{}';
BEGIN
    FOR held IN
        SELECT queue, array_agg(DISTINCT key) AS keys FROM gristmill.chunk
        WHERE job = ANY (jobs) AND key IS NOT NULL AND state <> 'dead' GROUP BY queue ORDER BY queue
    LOOP
        PERFORM gristmill.lock_keys(held.queue, held.keys);
        DELETE FROM gristmill.chunk
        WHERE job = ANY (jobs) AND queue = held.queue AND key IS NOT NULL AND state <> 'dead';
        IF gristmill.unblock(held.queue, held.keys) THEN
            wakes := wakes || held.queue;
        END IF;
    END LOOP;
    DELETE FROM gristmill.chunk WHERE job = ANY (jobs);
    DELETE FROM gristmill.result WHERE job = ANY (jobs);
    DELETE FROM gristmill.unique_key USING gristmill.job
    WHERE job.id = ANY (jobs) AND unique_key.queue = job.queue AND unique_key.key = job.unique_key
        AND unique_key.job = job.id;
    DELETE FROM gristmill.job WHERE id = ANY (jobs);
    RETURN wakes;
END $$;

-- Remove an upload; return its queue if others became ready by it.
CREATE FUNCTION gristmill.abort_upload(of_job text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM gristmill.job WHERE id = of_job AND is_receiving FOR UPDATE;
    RETURN CASE WHEN FOUND THEN (gristmill.remove(ARRAY[of_job]))[1] END;
END $$;

-- Remove a final job. Null: there is none; false: it is not final.
CREATE FUNCTION gristmill.delete(of_job text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    final boolean;
BEGIN
    SELECT finished_at IS NOT NULL INTO final FROM gristmill.job WHERE id = of_job FOR UPDATE;
    IF final THEN
        PERFORM gristmill.remove(ARRAY[of_job]);
    END IF;
    RETURN final;
END $$;

-- Remove final jobs that are old and uploads that stand still, most at a time, and forget old leases and keys;
-- return how many jobs, and the queues in which others became ready by it.
CREATE FUNCTION gristmill.prune(
    older_than float8, remembered float8, most integer, OUT pruned integer, OUT queues text[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    jobs text[];
BEGIN
    jobs := ARRAY(
        SELECT id FROM gristmill.job WHERE finished_at < gristmill.now() - older_than
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
CREATE FUNCTION gristmill.redrive(
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
        RETURNING chunk.job, chunk.queue, chunk.key, chunk.items
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
