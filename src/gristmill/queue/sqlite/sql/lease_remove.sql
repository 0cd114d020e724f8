-- Forget a lease: whoever held it is fenced.
DELETE FROM gristmill_lease WHERE id = ?
