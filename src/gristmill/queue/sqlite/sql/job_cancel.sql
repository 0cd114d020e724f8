-- Note that a job was cancelled.
UPDATE gristmill_job SET is_cancelled = 1, is_receiving = 0 WHERE number = ?
