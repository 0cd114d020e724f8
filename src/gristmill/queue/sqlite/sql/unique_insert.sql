-- Give a unique key to a job; whoever held it, its time is over.
INSERT OR REPLACE INTO gristmill_unique (queue, key, job, until, fingerprint) VALUES (?, ?, ?, ?, ?)
