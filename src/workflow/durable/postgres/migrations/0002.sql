-- Workflows in PostgreSQL, version 2: who has amended an instance, and so decides on none of its approvals; and the version of
-- the table under which each entry of a journal was written.
ALTER TABLE workflow_instance ADD COLUMN
    -- A JSON array of objects, each with `person` and `instead_of`; each actor once, in the order of their amendments.
    amended_by text NOT NULL DEFAULT '[]' CHECK (amended_by::json IS NOT NULL);

-- Of the instances that are there the journal knows it.
UPDATE workflow_instance SET amended_by = amender.list FROM (
    SELECT instance, json_agg(json_build_object('person', by, 'instead_of', instead_of) ORDER BY first)::text AS list
    FROM (
        SELECT instance, by, instead_of, min(entry) AS first FROM workflow_journal
        WHERE what = 'amended' GROUP BY instance, by, instead_of
    ) AS one GROUP BY instance
) AS amender WHERE amender.instance = workflow_instance.id;

ALTER TABLE workflow_clearance ADD COLUMN
    -- How many of them had amended it when it was cleared: none of those has voted here.
    amended bigint NOT NULL DEFAULT 0 CHECK (amended BETWEEN 0 AND 4294967295);

ALTER TABLE workflow_journal ADD COLUMN
    -- Of an entry that is older than this column, nobody knows it.
    version bigint CHECK (version BETWEEN 0 AND 4294967295);
