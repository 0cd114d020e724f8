-- Remove a job with all it has.
DELETE FROM gristmill_body WHERE chunk IN (SELECT id FROM gristmill_chunk WHERE job = :job);
DELETE FROM gristmill_chunk WHERE job = :job;
DELETE FROM gristmill_result WHERE job = :job;
DELETE FROM gristmill_ids WHERE job = :job;
DELETE FROM gristmill_unique WHERE job = :job;
DELETE FROM gristmill_job WHERE number = :job
