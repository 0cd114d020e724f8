-- Note what is left of a queue's rate.
UPDATE gristmill_queue SET tokens = ?, tokens_at = ? WHERE name = ?
