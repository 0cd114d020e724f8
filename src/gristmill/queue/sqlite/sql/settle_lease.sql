-- Note that a lease is settled.
UPDATE gristmill_lease SET settled_at = ? WHERE id = ?
