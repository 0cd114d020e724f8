-- Open a lease.
INSERT INTO gristmill_lease (queue, worker, expires_at) VALUES (?, ?, ?)
