-- Find a job that receives items.
SELECT number, queue, priority, due_at, total FROM gristmill_job WHERE id = ? AND is_receiving = 1
