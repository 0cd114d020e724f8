-- What keeps the chunks of an ordering key in line. Whoever adds chunks with keys, or takes them away, holds the
-- locks of their keys from before it looks until its commit: so nobody blocks a chunk behind one that has just
-- gone, and no two are let run at once.
--
-- All locks are taken in this order, so that nobody waits in a circle: lease, jobs by id, keys, chunks.

-- Many keys lock their whole queue instead: the server's table of locks is small.
CREATE FUNCTION gristmill.lock_keys(of_queue text, keys bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(keys) > 100 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('gristmill ' || of_queue, 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('gristmill ' || of_queue, 0));
        PERFORM pg_advisory_xact_lock(wanted.lock) FROM (
            SELECT DISTINCT hashtextextended('gristmill ' || of_queue || ' ' || encode(key, 'hex'), 0) AS lock
            FROM unnest(keys) AS key ORDER BY lock
        ) AS wanted;
    END IF;
END $$;

-- Let the first of each key's line run if nothing of the key does; tell whether any can now, or will.
CREATE FUNCTION gristmill.unblock(of_queue text, keys bytea[]) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    UPDATE gristmill.chunk SET state = CASE
        WHEN (SELECT is_receiving FROM gristmill.job WHERE id = chunk.job) THEN 'receiving'
        WHEN due_at > gristmill.now() THEN 'scheduled'
        ELSE 'ready' END
    WHERE id = ANY (ARRAY(
        SELECT first.id FROM (SELECT DISTINCT key FROM unnest(keys) AS key) AS wanted
        CROSS JOIN LATERAL (
            SELECT id FROM gristmill.chunk
            WHERE queue = of_queue AND key = wanted.key AND state = 'blocked'
            ORDER BY coalesce(line, id), id LIMIT 1
        ) AS first
        WHERE NOT EXISTS (
            SELECT FROM gristmill.chunk
            WHERE queue = of_queue AND key = wanted.key AND state <> 'blocked' AND state <> 'dead'
        )
    ));
    RETURN FOUND;
END $$;
