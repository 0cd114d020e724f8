-- Make the run $1 ours: its next epoch. $4: whether what it has done is forgotten.
INSERT INTO gristmill.gristmill_ledger AS ledger
    (job, identity, checkpoint, epoch, commits, session_pid, session_start)
SELECT $1, $2, $3, 1, 0, pg_backend_pid(),
    (SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid())
ON CONFLICT (job) DO UPDATE SET
    identity = CASE WHEN $4 THEN excluded.identity ELSE ledger.identity END,
    checkpoint = CASE WHEN $4 THEN excluded.checkpoint ELSE ledger.checkpoint END,
    epoch = ledger.epoch + 1,
    session_pid = excluded.session_pid,
    session_start = excluded.session_start,
    changed_at = now()
RETURNING identity, checkpoint, epoch, commits
