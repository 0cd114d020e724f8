-- The first schema. Every name begins with gristmill_: users may keep tables of their own in the same file.

CREATE TABLE gristmill_schema (version INTEGER NOT NULL) STRICT;

CREATE TABLE gristmill_job (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    keep_results INTEGER NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL NOT NULL,
    touched_at REAL NOT NULL,  -- when an upload last grew
    finished_at REAL,
    is_receiving INTEGER NOT NULL,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL,
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    unique_key TEXT  -- one that it holds until it is final
) STRICT;
CREATE INDEX gristmill_job_queue ON gristmill_job (queue, number);
CREATE INDEX gristmill_job_open ON gristmill_job (number) WHERE finished_at IS NULL;
CREATE INDEX gristmill_job_final ON gristmill_job (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX gristmill_job_cancelled ON gristmill_job (number) WHERE is_cancelled = 1;
CREATE INDEX gristmill_job_receiving ON gristmill_job (touched_at) WHERE is_receiving = 1;

-- The callers' ids of items, a JSON array by place, apart from jobs as bodies are from chunks.
CREATE TABLE gristmill_ids (
    job INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
) STRICT;

-- state is receiving, ready (now or when it is due), blocked (behind others of its key), held (by lease) or dead.
CREATE TABLE gristmill_chunk (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    rank REAL NOT NULL,  -- when it is due, and 60 seconds for each step of priority
    state TEXT NOT NULL,
    lease INTEGER,
    key TEXT,
    line INTEGER NOT NULL,  -- 0 stands for its id where there is no key
    places TEXT NOT NULL,
    items INTEGER NOT NULL,
    size INTEGER NOT NULL,  -- bytes of its body
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    code TEXT,
    error TEXT,
    dead_at REAL
) STRICT;
CREATE INDEX gristmill_chunk_ready ON gristmill_chunk (queue, priority, rank, id, items, size, crashes)
    WHERE state = 'ready';
CREATE INDEX gristmill_chunk_job ON gristmill_chunk (job);
CREATE INDEX gristmill_chunk_lease ON gristmill_chunk (lease) WHERE lease IS NOT NULL;
CREATE INDEX gristmill_chunk_held ON gristmill_chunk (job, items) WHERE state = 'held';
CREATE INDEX gristmill_chunk_key ON gristmill_chunk (queue, key, state, line, id, items) WHERE key IS NOT NULL;
CREATE INDEX gristmill_chunk_dead ON gristmill_chunk (queue, code, dead_at, items, job) WHERE state = 'dead';

-- Bodies lie apart: SQLite writes a whole row anew when a claim changes its state.
CREATE TABLE gristmill_body (
    chunk INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- Settled leases stay for a while, so that a repeated settlement can be told.
CREATE TABLE gristmill_lease (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    worker TEXT NOT NULL,
    expires_at REAL NOT NULL,
    settled_at REAL
) STRICT;
CREATE INDEX gristmill_lease_live ON gristmill_lease (expires_at, queue) WHERE settled_at IS NULL;
CREATE INDEX gristmill_lease_settled ON gristmill_lease (settled_at) WHERE settled_at IS NOT NULL;

CREATE TABLE gristmill_result (
    number INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    kind TEXT NOT NULL,
    items INTEGER NOT NULL,
    first INTEGER NOT NULL,  -- the lowest of its places, and the highest
    last INTEGER NOT NULL,
    places TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX gristmill_result_job ON gristmill_result (job, number, kind, first, last);

CREATE TABLE gristmill_unique (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    job INTEGER NOT NULL,
    until REAL,  -- NULL: until the job is final
    fingerprint TEXT,
    PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX gristmill_unique_job ON gristmill_unique (job);
CREATE INDEX gristmill_unique_until ON gristmill_unique (until) WHERE until IS NOT NULL;

CREATE TABLE gristmill_queue (
    name TEXT PRIMARY KEY,
    is_paused INTEGER NOT NULL DEFAULT 0,
    rate REAL,
    burst REAL,
    concurrency INTEGER,
    tokens REAL,  -- what was left of the rate at tokens_at
    tokens_at REAL
) STRICT, WITHOUT ROWID;
