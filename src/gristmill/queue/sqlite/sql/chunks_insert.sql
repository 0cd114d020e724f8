-- Store chunks without ordering keys under ids that are free.
INSERT INTO gristmill_chunk (
    id, job, queue, priority, rank, state, line, places, items, size, attempt, crashes, code, error, dead_at
) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
