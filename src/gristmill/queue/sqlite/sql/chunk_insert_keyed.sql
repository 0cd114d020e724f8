-- Store a chunk with an ordering key, and its body: behind the others of its key, if one of them is not blocked.
INSERT INTO gristmill_chunk (
    job, queue, priority, rank, state, line, places, items, size, attempt, crashes, code, error, dead_at, key
)
SELECT
    new.column1, new.column2, new.column3, new.column4,
    CASE WHEN new.column5 <> 'dead' AND EXISTS (
        SELECT 1 FROM gristmill_chunk AS other
        WHERE other.queue = new.column2 AND other.key = new.column15
            AND other.state IN ('receiving', 'ready', 'held')
    ) THEN 'blocked' ELSE new.column5 END,
    new.column6, new.column7, new.column8, new.column9, new.column10, new.column11, new.column12, new.column13,
    new.column14, new.column15
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) AS new;
UPDATE gristmill_chunk SET line = id WHERE id = last_insert_rowid() AND line = 0;
INSERT INTO gristmill_body (chunk, body) VALUES (last_insert_rowid(), ?)
