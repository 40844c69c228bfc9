-- The inbox in SQLite, version 1. Times are microseconds since 1970-01-01 UTC, of the years 0 to 9999.
CREATE TABLE inbox_event (
    source_system TEXT NOT NULL,
    id TEXT NOT NULL,
    received_at INTEGER NOT NULL CHECK (received_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- `processed`: the effect was had. `retrying`: it failed for the moment, or was begun, and has not ended. `failed`: a
    -- dead letter. `skipped`: a dead letter that a person gave up. (For IN with more than two, SQLite makes a table at
    -- every write.)
    status TEXT NOT NULL CHECK (
        status = 'processed' OR status = 'retrying' OR status = 'failed' OR status = 'skipped'
    ),
    attempts INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    -- What follows is kept of events that failed, or are tried again, and empty otherwise.
    event_type TEXT,
    schema_version TEXT,
    correlation_id TEXT,
    payload BLOB,
    tags TEXT,
    ordering_key TEXT,
    retry_policy TEXT,
    created_at INTEGER CHECK (created_at BETWEEN -62167219200000000 AND 253402300799999999),
    failure_class TEXT,
    failure_reason TEXT,
    failed_at INTEGER CHECK (failed_at BETWEEN -62167219200000000 AND 253402300799999999),
    redriven_by TEXT,
    redriven_reason TEXT,
    redriven_at INTEGER CHECK (redriven_at BETWEEN -62167219200000000 AND 253402300799999999),
    discarded_by TEXT,
    discarded_reason TEXT,
    discarded_at INTEGER CHECK (discarded_at BETWEEN -62167219200000000 AND 253402300799999999),
    PRIMARY KEY (source_system, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_received ON inbox_event (received_at) WHERE status IN ('processed', 'skipped');
CREATE INDEX inbox_failed ON inbox_event (received_at) WHERE status IN ('retrying', 'failed');
