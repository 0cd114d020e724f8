-- Return the callers' ids of the items of job $1.
SELECT ids FROM gristmill.job WHERE id = $1
