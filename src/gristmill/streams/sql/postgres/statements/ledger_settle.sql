-- Compare and swap: the checkpoint $2 of the run $1 after the commit before $4, if the epoch is still $3.
UPDATE gristmill.gristmill_ledger
SET checkpoint = $2, commits = $4, changed_at = now(), session_pid = pg_backend_pid(),
    session_start = (SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid())
WHERE job = $1 AND epoch = $3 AND commits = $4 - 1
