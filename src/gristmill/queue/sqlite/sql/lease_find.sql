-- Return the queue of a lease, and when it was settled.
SELECT queue, settled_at FROM gristmill_lease WHERE id = ?
