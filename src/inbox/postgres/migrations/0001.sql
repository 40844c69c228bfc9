-- The inbox in PostgreSQL, version 1. The table is made in the first schema of the connection's search path.
CREATE TABLE inbox_event (
    -- Bytes to be told apart, in no language's order.
    source_system text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- `processed`: the effect was had. `retrying`: it failed for the moment, or was begun, and has not ended. `failed`: a
    -- dead letter. `skipped`: a dead letter that a person gave up.
    status text NOT NULL CHECK (status IN ('processed', 'retrying', 'failed', 'skipped')),
    attempts bigint NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    -- What follows is kept of events that failed, or are tried again, and empty otherwise.
    event_type text,
    schema_version text,
    correlation_id text,
    payload bytea,
    -- A JSON object of texts, as it was received.
    tags json,
    ordering_key text,
    retry_policy text,
    created_at timestamptz,
    failure_class text,
    failure_reason text,
    failed_at timestamptz,
    redriven_by text,
    redriven_reason text,
    redriven_at timestamptz,
    discarded_by text,
    discarded_reason text,
    discarded_at timestamptz,
    PRIMARY KEY (source_system, id),
    -- The calendar of programs ends before that of PostgreSQL, and has no infinity.
    CONSTRAINT times_of_the_calendar CHECK (
        greatest(received_at, created_at, failed_at, redriven_at, discarded_at) < '262143-01-01 00:00:00+00'
        AND least(received_at, created_at, failed_at, redriven_at, discarded_at) > '-infinity'
    )
);

CREATE INDEX inbox_received ON inbox_event (received_at) WHERE status IN ('processed', 'skipped');
CREATE INDEX inbox_failed ON inbox_event (received_at) WHERE status IN ('retrying', 'failed');

-- Refuses a caller whose inbox would be another one's: it is that of the first schema of the caller's search path, and of no
-- other.
CREATE FUNCTION inbox_check_place() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(quote_ident(current_schema()) || '.inbox_event') IS NULL THEN
        RAISE undefined_table USING MESSAGE = format('the schema %s has no inbox_event', current_schema());
    END IF;
END
$$;

-- Remembers in the transaction of the caller that an event has its effect in it, where it was never received before. The
-- answer is NULL where it was; else whether this is a transaction of its own, and no savepoint in another: the row then
-- has the number of the transaction, and otherwise that of the savepoint.
CREATE FUNCTION inbox_remember(source_system text, id text, attempts bigint) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    outermost boolean;
BEGIN
    PERFORM inbox_check_place();
    INSERT INTO inbox_event (source_system, id, status, attempts) VALUES (source_system, id, 'processed', attempts)
    ON CONFLICT DO NOTHING RETURNING xmin = pg_current_xact_id()::xid INTO outermost;
    RETURN outermost;
END
$$;
