-- Return what decides about a claim from the queue $1, whose settings are locked: the clock, how many leases
-- are held, the items of its first chunk, and when the next is due. Up to $2 due chunks become ready, for later.
WITH promoted AS (
    UPDATE gristmill.chunk SET state = 'ready' WHERE id = ANY (ARRAY(
        SELECT id FROM gristmill.chunk WHERE queue = $1 AND state = 'scheduled' AND due_at <= gristmill.now()
        ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
)
SELECT gristmill.now() AS now,
    (SELECT count(*) FROM gristmill.lease WHERE queue = $1) AS held,
    (SELECT items FROM gristmill.chunk WHERE queue = $1 AND state = 'ready' ORDER BY rank, id LIMIT 1) AS first,
    (SELECT count(*) FROM promoted) AS promoted,
    (
        SELECT due_at - gristmill.now() FROM gristmill.chunk
        WHERE queue = $1 AND state = 'scheduled' AND due_at > gristmill.now() ORDER BY due_at LIMIT 1
    ) AS due_in
