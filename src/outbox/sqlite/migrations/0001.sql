-- The outbox in SQLite (3.42 or newer), version 1. Times are microseconds since 1970-01-01 UTC, of the years 0 to 9999:
-- `datetime(due_at / 1000000, 'unixepoch')`.
--
-- An event may be enqueued from plain SQL, by a driver of one's own, in one's own transaction:
--
--   INSERT INTO outbox_event (id, event_type, source_system, payload)
--   VALUES ('invoice-4711', 'billing.invoice.issued', 'billing', '{}') ON CONFLICT (id) DO NOTHING;
--
-- The other columns have the defaults of an `Envelope`.
CREATE TABLE outbox_event (
    -- The order in which events were enqueued.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    event_type TEXT NOT NULL CHECK (event_type <> ''),
    source_system TEXT NOT NULL CHECK (source_system <> ''),
    schema_version TEXT NOT NULL DEFAULT '1.0',
    correlation_id TEXT,
    -- The bytes, as a blob or as text.
    payload ANY NOT NULL CHECK (typeof(payload) IN ('blob', 'text')),
    -- A JSON object of texts.
    tags TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(tags)),
    -- Events of one key are delivered one after another.
    ordering_key TEXT CHECK (ordering_key <> ''),
    -- Attempts, `fixed` with a wait or `exponential` with the first and the longest, ` jitter`, ` within` a limit.
    retry_policy TEXT NOT NULL DEFAULT '3 exponential 30s 3600s',
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
        CHECK (created_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- One of seven, spelt without IN: for a list of more than two, SQLite makes a table at every write.
    status TEXT NOT NULL DEFAULT 'pending' CHECK (
        status = 'pending' OR status = 'dispatched' OR status = 'acknowledged' OR status = 'processed'
        OR status = 'retrying' OR status = 'failed' OR status = 'skipped'
    ),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0 AND attempts < 4294967295),
    failure_class TEXT,
    failure_reason TEXT,
    failed_at INTEGER CHECK (failed_at BETWEEN -62167219200000000 AND 253402300799999999),
    redriven_by TEXT,
    redriven_reason TEXT,
    redriven_at INTEGER CHECK (redriven_at BETWEEN -62167219200000000 AND 253402300799999999),
    discarded_by TEXT,
    discarded_reason TEXT,
    discarded_at INTEGER CHECK (discarded_at BETWEEN -62167219200000000 AND 253402300799999999),
    enqueued_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
        CHECK (enqueued_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- When the next attempt may begin; of a dispatched event, when its lease ends.
    due_at INTEGER DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
        CHECK (due_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- 1 where a claim has found an earlier event of its key under way: no claim looks at it again until that one is over.
    blocked INTEGER NOT NULL DEFAULT 0 CHECK (
        blocked = 0 OR (blocked = 1 AND ordering_key IS NOT NULL)
    ),
    -- The fencing token of the claim: every later write of the relay must carry it.
    token TEXT,
    claimed_at INTEGER CHECK (claimed_at BETWEEN -62167219200000000 AND 253402300799999999),
    claimed_by TEXT,
    first_sent_at INTEGER CHECK (first_sent_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- When it was acknowledged, processed, skipped or discarded.
    done_at INTEGER CHECK (done_at BETWEEN -62167219200000000 AND 253402300799999999)
) STRICT;

CREATE INDEX outbox_due ON outbox_event (due_at, sequence) WHERE status IN ('pending', 'retrying') AND blocked = 0;
CREATE INDEX outbox_leased ON outbox_event (due_at) WHERE status = 'dispatched';
CREATE INDEX outbox_key ON outbox_event (ordering_key, sequence)
    WHERE ordering_key IS NOT NULL AND status IN ('pending', 'dispatched', 'retrying', 'failed');
CREATE INDEX outbox_blocked ON outbox_event (ordering_key, sequence) WHERE blocked = 1;
CREATE INDEX outbox_aside ON outbox_event (due_at, sequence) WHERE blocked = 1;
CREATE INDEX outbox_dead ON outbox_event (sequence) WHERE status = 'failed';
-- With the state, so that what is done is counted here.
CREATE INDEX outbox_done ON outbox_event (done_at, status) WHERE done_at IS NOT NULL;

-- What a later attempt or decision writes over in the row of the event: every attempt that did not end in
-- acknowledgement, and every decision of a person.
CREATE TABLE outbox_history (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('fail', 'reject', 'expire', 'release', 'redrive', 'discard')),
    at INTEGER NOT NULL CHECK (at BETWEEN -62167219200000000 AND 253402300799999999),
    by TEXT,
    -- The state and the attempts after it.
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT,
    -- The attempt that ended so.
    claimed_at INTEGER CHECK (claimed_at BETWEEN -62167219200000000 AND 253402300799999999),
    claimed_by TEXT
) STRICT;

CREATE INDEX outbox_history_event ON outbox_history (event, sequence);
