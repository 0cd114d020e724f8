-- Extend the leases $1 to $2 seconds from now; return those that live. One that is locked is being settled,
-- or its transaction is open: it lives, and nobody takes it over meanwhile.
WITH free AS MATERIALIZED (
    SELECT id FROM gristmill.lease WHERE id = ANY ($1::bigint[]) FOR UPDATE SKIP LOCKED
), renewed AS (
    UPDATE gristmill.lease SET expires_at = gristmill.now() + $2::float8 WHERE id = ANY (ARRAY(SELECT id FROM free))
)
SELECT id FROM gristmill.lease WHERE id = ANY ($1::bigint[])
