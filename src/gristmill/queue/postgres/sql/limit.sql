-- Set the limits of the queue $1: $2 rate, $3 burst, $4 concurrency; $5 items are there at once if they are new.
INSERT INTO gristmill.queue AS was (name, rate, burst, concurrency, tokens, tokens_at)
VALUES ($1, $2, $3, $4, $5, gristmill.now())
ON CONFLICT (name) DO UPDATE
SET rate = excluded.rate, burst = excluded.burst, concurrency = excluded.concurrency, tokens = excluded.tokens,
    tokens_at = excluded.tokens_at
WHERE (was.rate, was.burst, was.concurrency) IS DISTINCT FROM (excluded.rate, excluded.burst, excluded.concurrency)
