-- Workflows in SQLite, version 1. Times are microseconds since 1970-01-01 UTC, of the years 0 to 9999.
--
-- The row of an instance is the present, the journal the past. Commands, replies and questions are events of the outbox and
-- the inbox, which are in the same database.
CREATE TABLE workflow_instance (
    id TEXT NOT NULL PRIMARY KEY,
    workflow TEXT NOT NULL CHECK (workflow <> ''),
    version INTEGER NOT NULL CHECK (version BETWEEN 0 AND 4294967295),
    -- Of the table under which it was stored last: sixteen hexadecimal digits.
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 16),
    -- How often it was stored: every step that is stored names the one that it was taken from.
    revision INTEGER NOT NULL CHECK (revision > 0),
    status TEXT NOT NULL CHECK (
        status = 'awaiting' OR status = 'forestalling' OR status = 'parked' OR status = 'undoing' OR status = 'stuck'
        OR status = 'completed' OR status = 'undone' OR status = 'given_up'
    ),
    step TEXT CHECK (step <> ''),
    -- The id of the command whose reply is listened for.
    awaits TEXT,
    -- The deadline of the business: this is the timer.
    due_at INTEGER CHECK (due_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- When a clerk looks: at the deadline, or later where its turn has failed.
    turn_at INTEGER CHECK (turn_at BETWEEN -62167219200000000 AND 253402300799999999),
    turn_failures INTEGER NOT NULL DEFAULT 0 CHECK (turn_failures BETWEEN 0 AND 4294967295),
    turn_failure TEXT,
    round INTEGER NOT NULL CHECK (round BETWEEN 1 AND 4294967295),
    -- The question that is open, where people are asked: the level, whether it was reminded, whether nobody may answer, and
    -- what is shown.
    level INTEGER CHECK (level BETWEEN 0 AND 4294967295),
    reminded INTEGER CHECK (reminded IN (0, 1)),
    for_nobody INTEGER CHECK (for_nobody IN (0, 1)),
    shown BLOB,
    requested_by TEXT CHECK (requested_by <> ''),
    requested_instead_of TEXT CHECK (requested_instead_of <> ''),
    -- What it is about, in the program's own form.
    data BLOB NOT NULL,
    -- The context of the last step's span, for the next one: a JSON object of texts.
    tags TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(tags)),
    begun_at INTEGER NOT NULL CHECK (begun_at BETWEEN -62167219200000000 AND 253402300799999999),
    moved_at INTEGER NOT NULL CHECK (moved_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- A wait has a deadline and a step, and an end has neither.
    CHECK ((status = 'completed' OR status = 'undone' OR status = 'given_up') = (due_at IS NULL)),
    CHECK ((due_at IS NULL) = (step IS NULL)),
    CHECK ((due_at IS NULL) = (turn_at IS NULL)),
    CHECK ((level IS NULL) = (reminded IS NULL) AND (level IS NULL) = (for_nobody IS NULL)),
    CHECK (shown IS NULL OR level IS NOT NULL),
    CHECK (requested_instead_of IS NULL OR requested_by IS NOT NULL)
) STRICT;

CREATE INDEX workflow_due ON workflow_instance (workflow, turn_at) WHERE turn_at IS NOT NULL;
-- What people ask for: which waits have not moved for longest, what ended long ago, and how many stand where, which is
-- counted without the rows themselves.
CREATE INDEX workflow_waiting ON workflow_instance (moved_at, id) WHERE turn_at IS NOT NULL;
CREATE INDEX workflow_ended ON workflow_instance (moved_at, id) WHERE turn_at IS NULL;
CREATE INDEX workflow_at ON workflow_instance (workflow, status, step, moved_at, due_at, turn_failures, for_nobody);

-- An approval that is cleared, with what people were shown: given, or not needed.
CREATE TABLE workflow_clearance (
    instance TEXT NOT NULL,
    approval TEXT NOT NULL,
    -- The order in which they were cleared.
    place INTEGER NOT NULL,
    shown BLOB NOT NULL,
    PRIMARY KEY (instance, approval)
) STRICT, WITHOUT ROWID;

-- The votes for the question that is open, and for each approval that is cleared. Those that are void are in the journal.
CREATE TABLE workflow_vote (
    instance TEXT NOT NULL,
    approval TEXT NOT NULL,
    place INTEGER NOT NULL,
    person TEXT NOT NULL CHECK (person <> ''),
    instead_of TEXT CHECK (instead_of <> ''),
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL CHECK (at BETWEEN -62167219200000000 AND 253402300799999999),
    -- The fingerprint of what the person saw: sixteen hexadecimal digits.
    seen TEXT NOT NULL CHECK (length(seen) = 16),
    PRIMARY KEY (instance, approval, place)
) STRICT, WITHOUT ROWID;

-- What happened to each instance, the oldest first. Nothing changes an entry.
CREATE TABLE workflow_journal (
    instance TEXT NOT NULL,
    entry INTEGER NOT NULL CHECK (entry > 0),
    -- The revision of the row after it; of a reply that came too late, the one that it found.
    revision INTEGER NOT NULL CHECK (revision > 0),
    at INTEGER NOT NULL CHECK (at BETWEEN -62167219200000000 AND 253402300799999999),
    what TEXT NOT NULL CHECK (what <> ''),
    -- The step that the instance was at, where the entry has led, and to which step.
    step TEXT,
    status TEXT NOT NULL,
    to_step TEXT,
    -- The event that caused it, where one did.
    cause_source TEXT,
    cause_id TEXT,
    -- The ids of the events that have left with it: a JSON array.
    commands TEXT NOT NULL CHECK (json_valid(commands)),
    -- The person, where one did it.
    by TEXT,
    role TEXT,
    instead_of TEXT,
    reason TEXT,
    decided_at INTEGER CHECK (decided_at BETWEEN -62167219200000000 AND 253402300799999999),
    -- The steps that are done and stay done, where a person closed the instance: a JSON array.
    standing TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(standing)),
    PRIMARY KEY (instance, entry),
    CHECK ((by IS NULL) = (reason IS NULL) AND (by IS NULL) = (decided_at IS NULL)),
    CHECK ((cause_source IS NULL) = (cause_id IS NULL))
) STRICT, WITHOUT ROWID;
