-- Workflows in PostgreSQL, version 3: what is due first is found by workflow, and each step's own statements are planned once
-- for a connection.
-- compatible_from: 2
--
-- Roles that work with these tables need the right to execute the functions, which everybody has unless it was taken away.

-- A clerk looks for the first of each workflow that it takes, and reads nothing of the others.
DROP INDEX workflow_due;
CREATE INDEX workflow_due ON workflow_instance (workflow, turn_at) WHERE turn_at IS NOT NULL;

-- A connection keeps the plans of the functions, and may have made them when the tables were small: what is cheap to read as
-- a whole then is not later.

-- Locks an instance until the transaction ends: the row, or NULL where there is none; whether it has votes or clearances,
-- which are read by statements of their own; and the time after the wait for the lock.
CREATE FUNCTION workflow_find(
    instance text,
    OUT present workflow_instance,
    OUT has_votes boolean,
    OUT now timestamptz
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM workflow_check_place();
    SELECT * INTO present FROM workflow_instance WHERE id = workflow_find.instance FOR UPDATE;
    -- Statements of their own, which see what was committed while the first one waited.
    has_votes := EXISTS (SELECT FROM workflow_vote WHERE instance = workflow_find.instance)
        OR EXISTS (SELECT FROM workflow_clearance WHERE instance = workflow_find.instance);
    now := clock_timestamp();
END
$$;

-- Writes an instance: the first revision as a new row, a later one over the revision before. The answer is whether it did.
CREATE FUNCTION workflow_write(
    id text,
    workflow text,
    version bigint,
    fingerprint text,
    revision bigint,
    status text,
    step text,
    awaits text,
    due_at timestamptz,
    round bigint,
    level bigint,
    reminded boolean,
    for_nobody boolean,
    shown bytea,
    requested_by text,
    requested_instead_of text,
    data bytea,
    tags text,
    now timestamptz,
    amended_by text
) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
    IF revision = 1 THEN
        INSERT INTO workflow_instance (
            id, workflow, version, fingerprint, revision, status, step, awaits, due_at, turn_at, round, level, reminded,
            for_nobody, shown, requested_by, requested_instead_of, data, tags, begun_at, moved_at, amended_by
        ) VALUES (
            id, workflow, version, fingerprint, revision, status, step, awaits, due_at, due_at, round, level, reminded,
            for_nobody, shown, requested_by, requested_instead_of, data, tags, now, now, amended_by
        ) ON CONFLICT DO NOTHING;
    ELSE
        UPDATE workflow_instance AS before SET
            version = version, fingerprint = fingerprint, revision = revision, status = status, step = step,
            awaits = awaits, due_at = due_at, turn_at = due_at, round = round, level = level, reminded = reminded,
            for_nobody = for_nobody, shown = shown, requested_by = requested_by,
            requested_instead_of = requested_instead_of, data = data, tags = tags, amended_by = amended_by,
            moved_at = now, turn_failures = 0, turn_failure = NULL
        WHERE before.id = id AND before.workflow = workflow AND before.revision = revision - 1;
    END IF;
    RETURN FOUND;
END
$$;

-- Adds an entry to the journal of an instance, whose row is locked.
CREATE FUNCTION workflow_write_entry(
    instance text,
    revision bigint,
    at timestamptz,
    what text,
    step text,
    status text,
    to_step text,
    cause_source text,
    cause_id text,
    commands text,
    by text,
    role text,
    instead_of text,
    reason text,
    decided_at timestamptz,
    standing text,
    version bigint
) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO workflow_journal (
        instance, entry, revision, at, what, step, status, to_step, cause_source, cause_id, commands, by, role, instead_of,
        reason, decided_at, standing, version
    ) VALUES (
        instance,
        (SELECT coalesce(max(before.entry), 0) + 1 FROM workflow_journal AS before WHERE before.instance = instance),
        revision, at, what, step, status, to_step, cause_source, cause_id, commands, by, role, instead_of, reason,
        decided_at, standing, version
    );
END
$$;
