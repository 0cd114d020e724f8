-- Store jobs under numbers that are free.
INSERT INTO gristmill_job (
    number, id, queue, priority, keep_results, created_at, due_at, touched_at, finished_at, is_receiving, total
) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, FALSE, ?)
