-- How far a run has come.
SELECT identity, checkpoint, epoch, commits FROM gristmill_ledger WHERE job = ?1
