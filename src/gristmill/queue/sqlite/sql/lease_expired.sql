-- Find the lease that died first.
SELECT id, queue FROM gristmill_lease WHERE settled_at IS NULL AND expires_at <= ? ORDER BY expires_at LIMIT 1
