-- Note items of the upload $1, whose row is locked, that can never run: $2 items of all, $3 places, $4 items, $5 bodies.
WITH noted AS (
    INSERT INTO gristmill.result (job, kind, places, items, body)
    SELECT $1, 'failed', places, items, body
    FROM unnest($3::text[], $4::integer[], $5::bytea[]) AS refused (places, items, body)
    WHERE body IS NOT NULL
)
UPDATE gristmill.job SET total = total + $2, failed = failed + $2, touched_at = gristmill.now() WHERE id = $1
