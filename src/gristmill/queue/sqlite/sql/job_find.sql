-- Return the number and queue of a job, and when it became final.
SELECT number, queue, finished_at FROM gristmill_job WHERE id = ?
