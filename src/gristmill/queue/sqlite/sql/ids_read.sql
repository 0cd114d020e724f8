-- Return the callers' ids of a job's items.
SELECT ids.ids FROM gristmill_job AS job JOIN gristmill_ids AS ids ON ids.job = job.number WHERE job.id = ?
