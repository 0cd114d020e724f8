-- Make a run ours: its next epoch. ?4: whether what it has done is forgotten.
INSERT INTO gristmill_ledger AS ledger (job, identity, checkpoint, epoch, commits)
VALUES (?1, ?2, ?3, 1, 0)
ON CONFLICT (job) DO UPDATE SET
    identity = iif(?4, excluded.identity, ledger.identity),
    checkpoint = iif(?4, excluded.checkpoint, ledger.checkpoint),
    epoch = ledger.epoch + 1
RETURNING identity, checkpoint, epoch, commits
