-- Compare and swap: the checkpoint ?2 of a run after the commit before ?4, if the epoch is still ?3.
UPDATE gristmill_ledger SET checkpoint = ?2, commits = ?4 WHERE job = ?1 AND epoch = ?3 AND commits = ?4 - 1
RETURNING job
