-- The ledger: one row for each run that writes to a table of this file.
CREATE TABLE IF NOT EXISTS gristmill_ledger (
    job TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    commits INTEGER NOT NULL
) STRICT, WITHOUT ROWID
