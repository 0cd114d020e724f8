-- Extend those of some leases that are alive, and return them.
UPDATE gristmill_lease SET expires_at = ? WHERE id IN (SELECT value FROM json_each(?)) AND settled_at IS NULL
RETURNING id
