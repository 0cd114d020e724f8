-- The ledger: one row for each run that writes to a table of its schema. "gristmill" stands for the schema.
CREATE TABLE IF NOT EXISTS gristmill.gristmill_ledger (
    job text PRIMARY KEY,
    identity text NOT NULL,
    checkpoint text NOT NULL,
    epoch bigint NOT NULL,
    commits bigint NOT NULL,
    session_pid integer,
    session_start timestamp with time zone,
    changed_at timestamp with time zone NOT NULL DEFAULT now()
)
