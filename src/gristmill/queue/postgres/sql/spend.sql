-- Note what is left of the rate of the queue $1: $2 items, at $3.
UPDATE gristmill.queue SET tokens = $2, tokens_at = $3 WHERE name = $1
