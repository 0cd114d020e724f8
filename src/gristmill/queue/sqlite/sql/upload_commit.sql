-- Let the items of an upload run.
UPDATE gristmill_job SET is_receiving = 0 WHERE number = :job;
UPDATE gristmill_chunk SET state = 'ready' WHERE job = :job AND state = 'receiving'
