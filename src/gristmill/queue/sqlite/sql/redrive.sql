-- Let dead chunks run again as if for the first time; those with a key wait for their turn.
UPDATE gristmill_chunk
SET state = iif(key IS NULL, 'ready', 'blocked'), rank = :now + priority * :aging, attempt = 0, crashes = 0,
    code = NULL, error = NULL, dead_at = NULL
WHERE id IN (SELECT value FROM json_each(:chunks))
