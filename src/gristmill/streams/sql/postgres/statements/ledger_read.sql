-- How far the run $1 has come.
SELECT identity, checkpoint, epoch, commits FROM gristmill.gristmill_ledger WHERE job = $1
