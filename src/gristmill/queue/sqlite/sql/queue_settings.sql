-- Return whether a queue is paused, its limits, what is left of its rate, and its leases if they are limited.
SELECT is_paused, rate, burst, concurrency, tokens, tokens_at, iif(concurrency IS NULL, 0, (
    SELECT count(*) FROM gristmill_lease AS lease WHERE lease.queue = name AND lease.settled_at IS NULL
))
FROM gristmill_queue WHERE name = ?
