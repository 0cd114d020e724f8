-- List the ordering keys of a job's chunks.
SELECT DISTINCT queue, key FROM gristmill_chunk WHERE job = ? AND key IS NOT NULL
