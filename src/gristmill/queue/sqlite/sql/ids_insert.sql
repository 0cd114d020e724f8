-- Keep the callers' ids of a job's items.
INSERT INTO gristmill_ids (job, ids) VALUES (?, ?)
