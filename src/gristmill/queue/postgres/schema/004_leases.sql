-- What ends a lease. Deleting its row is the fence: whoever comes second finds nothing.

-- Record all that became of a claim: its chunks are replaced by those given, and results are kept and counted.
-- wakes: its queue, if somebody may have something to claim now.
CREATE FUNCTION gristmill.settle(
    of_lease bigint,
    chunk_job text[], chunk_places text[], chunk_items integer[], chunk_body bytea[], chunk_key bytea[],
    chunk_line bigint[], chunk_attempt integer[], chunk_crashes integer[], chunk_delay float8[],
    chunk_code text[], chunk_error text[], chunk_follows boolean[],
    result_job text[], result_kind text[], result_places text[], result_items integer[], result_body bytea[],
    OUT outcome text, OUT wakes text
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    of_queue text;
    jobs text[];
    keys bytea[];
    cancelled_job text;
    is_more boolean := false;
BEGIN
    DELETE FROM gristmill.lease WHERE id = of_lease RETURNING queue INTO of_queue;
    IF NOT FOUND THEN
        -- Dead only once somebody took it over: until then nobody else has the items.
        outcome := CASE WHEN EXISTS (SELECT FROM gristmill.settled WHERE lease = of_lease)
            THEN 'duplicate' ELSE 'stale' END;
        RETURN;
    END IF;
    outcome := 'settled';
    INSERT INTO gristmill.settled (lease, at) VALUES (of_lease, gristmill.now());
    WITH gone AS (DELETE FROM gristmill.chunk WHERE lease = of_lease RETURNING job, key)
    SELECT array_agg(DISTINCT job), array_agg(DISTINCT key) FILTER (WHERE key IS NOT NULL) INTO jobs, keys FROM gone;

    -- Held until the commit: results of a job are numbered in the order in which they can be seen.
    PERFORM FROM gristmill.job WHERE id = ANY (jobs) ORDER BY id FOR NO KEY UPDATE;
    IF keys IS NOT NULL THEN
        PERFORM gristmill.lock_keys(of_queue, keys);
    END IF;

    IF cardinality(result_job) > 0 THEN
        UPDATE gristmill.job SET
            succeeded = succeeded + more.good,
            failed = failed + more.bad,
            cancelled = cancelled + more.given_up,
            finished_at = CASE
                WHEN succeeded + failed + cancelled + more.good + more.bad + more.given_up >= total
                THEN coalesce(finished_at, gristmill.now()) END
        FROM (
            SELECT done.job,
                coalesce(sum(done.items) FILTER (WHERE done.kind = 'succeeded'), 0) AS good,
                coalesce(sum(done.items) FILTER (WHERE done.kind = 'failed'), 0) AS bad,
                coalesce(sum(done.items) FILTER (WHERE done.kind = 'cancelled'), 0) AS given_up
            FROM unnest(result_job, result_kind, result_items) AS done (job, kind, items) GROUP BY done.job
        ) AS more
        WHERE job.id = more.job;
        INSERT INTO gristmill.result (job, kind, places, items, body)
        SELECT * FROM unnest(result_job, result_kind, result_places, result_items, result_body)
            AS done (job, kind, places, items, body)
        WHERE done.body IS NOT NULL;
        PERFORM gristmill.free_unique(jobs);
    END IF;

    IF cardinality(chunk_job) > 0 THEN
        INSERT INTO gristmill.chunk (
            queue, state, rank, due_at, job, line, items, size, attempt, crashes, keep_results,
            dead_at, key, places, code, error, body
        )
        SELECT of_queue,
            CASE
                WHEN added.code IS NOT NULL THEN 'dead'
                WHEN added.follows OR added.key IS NOT NULL AND EXISTS (
                    SELECT FROM gristmill.chunk AS head
                    WHERE head.queue = of_queue AND head.key = added.key AND head.state <> 'blocked' AND head.state <> 'dead'
                ) THEN 'blocked'
                WHEN added.delay > 0 THEN 'scheduled'
                ELSE 'ready'
            END,
            gristmill.now() + added.delay + job.priority * 60.0, gristmill.now() + added.delay, added.job,
            nullif(added.line, 0), added.items, length(added.body), added.attempt, added.crashes, job.keep_results,
            CASE WHEN added.code IS NOT NULL THEN gristmill.now() END, added.key, added.places, added.code, added.error,
            added.body
        FROM unnest(
            chunk_job, chunk_places, chunk_items, chunk_body, chunk_key, chunk_line, chunk_attempt, chunk_crashes,
            chunk_delay, chunk_code, chunk_error, chunk_follows
        ) WITH ORDINALITY AS added (
            job, places, items, body, key, line, attempt, crashes, delay, code, error, follows, place
        )
        JOIN gristmill.job ON job.id = added.job
        ORDER BY added.place;
        is_more := array_position(chunk_code, NULL) IS NOT NULL;
        FOR cancelled_job IN SELECT id FROM gristmill.job WHERE id = ANY (chunk_job) AND is_cancelled ORDER BY id LOOP
            PERFORM gristmill.cancel_waiting(cancelled_job);
        END LOOP;
    END IF;

    IF keys IS NOT NULL THEN
        is_more := gristmill.unblock(of_queue, keys) OR is_more;
    END IF;
    IF is_more OR EXISTS (SELECT FROM gristmill.queue WHERE name = of_queue AND concurrency IS NOT NULL) THEN
        wakes := of_queue;
    END IF;
END $$;

-- Give the chunks of a lease back as they were, or cancel them if their job was cancelled meanwhile.
-- Null if the lease had died, else its queue.
CREATE FUNCTION gristmill.release(of_lease bigint) RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    of_queue text;
    jobs text[];
    cancelled_job text;
BEGIN
    DELETE FROM gristmill.lease WHERE id = of_lease RETURNING queue INTO of_queue;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(DISTINCT job) INTO jobs FROM gristmill.chunk WHERE lease = of_lease;
    PERFORM FROM gristmill.job WHERE id = ANY (jobs) ORDER BY id FOR NO KEY UPDATE;
    UPDATE gristmill.chunk SET state = 'ready', lease = NULL WHERE lease = of_lease;
    FOR cancelled_job IN SELECT id FROM gristmill.job WHERE id = ANY (jobs) AND is_cancelled ORDER BY id LOOP
        PERFORM gristmill.cancel_waiting(cancelled_job);
    END LOOP;
    RETURN of_queue;
END $$;
