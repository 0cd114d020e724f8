-- Let the first blocked chunk of an ordering key run, if no other chunk of the key can.
UPDATE gristmill_chunk
SET state = iif((SELECT is_receiving FROM gristmill_job WHERE number = job), 'receiving', 'ready')
WHERE id = (
    SELECT id FROM gristmill_chunk
    WHERE queue = :queue AND key = :key AND state = 'blocked'
    ORDER BY line, id LIMIT 1
) AND NOT EXISTS (
    SELECT 1 FROM gristmill_chunk
    WHERE queue = :queue AND key = :key AND state IN ('receiving', 'ready', 'held')
)
