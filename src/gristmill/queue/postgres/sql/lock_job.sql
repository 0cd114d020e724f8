-- Lock the row of the job $1, and return its queue.
SELECT queue FROM gristmill.job WHERE id = $1 FOR UPDATE
