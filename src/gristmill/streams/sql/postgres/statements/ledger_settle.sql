-- Compare and swap: the checkpoint $2 of the run $1 after the commit before $4, if the epoch is still $3.
UPDATE gristmill.gristmill_ledger
SET checkpoint = $2, commits = $4, changed_at = now()
WHERE job = $1 AND epoch = $3 AND commits = $4 - 1
