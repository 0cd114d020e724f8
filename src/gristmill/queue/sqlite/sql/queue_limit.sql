-- Set the limits of a queue; its rate begins with a full burst, unless the limits are what they were.
INSERT INTO gristmill_queue (name, rate, burst, concurrency, tokens, tokens_at)
VALUES (:queue, :rate, :burst, :concurrency, :tokens, :now)
ON CONFLICT (name) DO UPDATE
SET rate = :rate, burst = :burst, concurrency = :concurrency, tokens = :tokens, tokens_at = :now
WHERE (rate, burst, concurrency) IS NOT (:rate, :burst, :concurrency)
