-- Store a job, unless its id is taken: then no row comes back.
INSERT INTO gristmill_job (
    id, queue, priority, keep_results, created_at, due_at, touched_at, finished_at, is_receiving, total, unique_key
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
RETURNING number
