-- Put chunks under a lease.
UPDATE gristmill_chunk SET state = 'held', lease = ? WHERE id IN (SELECT value FROM json_each(?))
