-- Store a chunk without an ordering key, and its body.
INSERT INTO gristmill_chunk (
    job, queue, priority, rank, state, line, places, items, size, attempt, crashes, code, error, dead_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
INSERT INTO gristmill_body (chunk, body) VALUES (last_insert_rowid(), ?)
