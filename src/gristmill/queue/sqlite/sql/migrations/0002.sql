-- Each queue keeps its jobs for a time of its own.
DROP INDEX gristmill_job_final;
CREATE INDEX gristmill_job_final ON gristmill_job (queue, finished_at) WHERE finished_at IS NOT NULL;
