-- Lock the settings of the queue $1, so that one claim at a time spends its limits.
SELECT is_paused, rate, burst, concurrency, tokens, tokens_at FROM gristmill.queue WHERE name = $1 FOR UPDATE
