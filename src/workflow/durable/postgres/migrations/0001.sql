-- Workflows in PostgreSQL, version 1. The tables are made in the first schema of the connection's search path.
--
-- The row of an instance is the present, the journal the past. Commands, replies and questions are events of the outbox and
-- the inbox, which are in the same database.
CREATE TABLE workflow_instance (
    -- Bytes to be told apart, in no language's order.
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    workflow text COLLATE "C" NOT NULL CHECK (workflow <> ''),
    version bigint NOT NULL CHECK (version BETWEEN 0 AND 4294967295),
    -- Of the table under which it was stored last: sixteen hexadecimal digits.
    fingerprint text NOT NULL CHECK (length(fingerprint) = 16),
    -- How often it was stored: every step that is stored names the one that it was taken from.
    revision bigint NOT NULL CHECK (revision > 0),
    status text NOT NULL CHECK (
        status IN (
            'awaiting', 'forestalling', 'parked', 'undoing', 'stuck', 'completed', 'undone', 'given_up'
        )
    ),
    step text CHECK (step <> ''),
    -- The id of the command whose reply is listened for.
    awaits text,
    -- The deadline of the business: this is the timer.
    due_at timestamptz,
    -- When a clerk looks: at the deadline, or later where its turn has failed.
    turn_at timestamptz,
    turn_failures bigint NOT NULL DEFAULT 0 CHECK (turn_failures BETWEEN 0 AND 4294967295),
    turn_failure text,
    round bigint NOT NULL CHECK (round BETWEEN 1 AND 4294967295),
    -- The question that is open, where people are asked: the level, whether it was reminded, whether nobody may answer, and
    -- what is shown.
    level bigint CHECK (level BETWEEN 0 AND 4294967295),
    reminded boolean,
    for_nobody boolean,
    shown bytea,
    requested_by text CHECK (requested_by <> ''),
    requested_instead_of text CHECK (requested_instead_of <> ''),
    -- What it is about, in the program's own form.
    data bytea NOT NULL,
    -- The context of the last step's span, for the next one: a JSON object of texts.
    tags text NOT NULL DEFAULT '{}' CHECK (tags::json IS NOT NULL),
    begun_at timestamptz NOT NULL,
    moved_at timestamptz NOT NULL,
    -- A wait has a deadline and a step, and an end has neither.
    CHECK ((status IN ('completed', 'undone', 'given_up')) = (due_at IS NULL)),
    CHECK ((due_at IS NULL) = (step IS NULL)),
    CHECK ((due_at IS NULL) = (turn_at IS NULL)),
    CHECK ((level IS NULL) = (reminded IS NULL) AND (level IS NULL) = (for_nobody IS NULL)),
    CHECK (shown IS NULL OR level IS NOT NULL),
    CHECK (requested_instead_of IS NULL OR requested_by IS NOT NULL),
    -- The calendar of programs ends before that of PostgreSQL, and has no infinity.
    CONSTRAINT times_of_the_calendar CHECK (
        greatest(due_at, turn_at, begun_at, moved_at) < '262143-01-01 00:00:00+00'
        AND least(due_at, turn_at, begun_at, moved_at) > '-infinity'
    )
);

CREATE INDEX workflow_due ON workflow_instance (turn_at) WHERE turn_at IS NOT NULL;
-- What people ask for: which waits have not moved for longest, what ended long ago, and how many stand where, which is
-- counted without the rows themselves.
CREATE INDEX workflow_waiting ON workflow_instance (moved_at, id) WHERE turn_at IS NOT NULL;
CREATE INDEX workflow_ended ON workflow_instance (moved_at, id) WHERE turn_at IS NULL;
CREATE INDEX workflow_at ON workflow_instance (workflow, status, step, moved_at, due_at, turn_failures, for_nobody);

-- An approval that is cleared, with what people were shown: given, or not needed.
CREATE TABLE workflow_clearance (
    instance text COLLATE "C" NOT NULL,
    approval text COLLATE "C" NOT NULL,
    -- The order in which they were cleared.
    place bigint NOT NULL,
    shown bytea NOT NULL,
    PRIMARY KEY (instance, approval)
);

-- The votes for the question that is open, and for each approval that is cleared. Those that are void are in the journal.
CREATE TABLE workflow_vote (
    instance text COLLATE "C" NOT NULL,
    approval text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    person text NOT NULL CHECK (person <> ''),
    instead_of text CHECK (instead_of <> ''),
    role text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    -- The fingerprint of what the person saw: sixteen hexadecimal digits.
    seen text NOT NULL CHECK (length(seen) = 16),
    PRIMARY KEY (instance, approval, place)
);

-- What happened to each instance, the oldest first. Nothing changes an entry.
CREATE TABLE workflow_journal (
    instance text COLLATE "C" NOT NULL,
    entry bigint NOT NULL CHECK (entry > 0),
    -- The revision of the row after it; of a reply that came too late, the one that it found.
    revision bigint NOT NULL CHECK (revision > 0),
    at timestamptz NOT NULL,
    what text NOT NULL CHECK (what <> ''),
    -- The step that the instance was at, where the entry has led, and to which step.
    step text,
    status text NOT NULL,
    to_step text,
    -- The event that caused it, where one did.
    cause_source text,
    cause_id text,
    -- The ids of the events that have left with it: a JSON array.
    commands text NOT NULL CHECK (commands::json IS NOT NULL),
    -- The person, where one did it.
    by text,
    role text,
    instead_of text,
    reason text,
    decided_at timestamptz,
    -- The steps that are done and stay done, where a person closed the instance: a JSON array.
    standing text NOT NULL DEFAULT '[]' CHECK (standing::json IS NOT NULL),
    PRIMARY KEY (instance, entry),
    CHECK ((by IS NULL) = (reason IS NULL) AND (by IS NULL) = (decided_at IS NULL)),
    CHECK ((cause_source IS NULL) = (cause_id IS NULL))
);

-- Refuses a caller whose workflows would be another one's: they are in the first schema of the caller's search path, and in
-- no other.
CREATE FUNCTION workflow_check_place() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(quote_ident(current_schema()) || '.workflow_instance') IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('the schema %s has no workflow_instance', current_schema());
    END IF;
END
$$;
