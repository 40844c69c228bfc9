-- Workflows in SQLite, version 2: who has amended an instance, and so decides on none of its approvals; and the version of
-- the table under which each entry of a journal was written.
ALTER TABLE workflow_instance ADD COLUMN
    -- A JSON array of objects, each with `person` and `instead_of`; each actor once, in the order of their amendments.
    amended_by TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(amended_by));

-- Of the instances that are there the journal knows it.
UPDATE workflow_instance SET amended_by = (
    SELECT json_group_array(json_object('person', by, 'instead_of', instead_of)) FROM (
        SELECT by, instead_of FROM workflow_journal
        WHERE instance = workflow_instance.id AND what = 'amended' GROUP BY by, instead_of ORDER BY min(entry)
    )
)
WHERE id IN (SELECT instance FROM workflow_journal WHERE what = 'amended');

ALTER TABLE workflow_clearance ADD COLUMN
    -- How many of them had amended it when it was cleared: none of those has voted here.
    amended INTEGER NOT NULL DEFAULT 0 CHECK (amended BETWEEN 0 AND 4294967295);

ALTER TABLE workflow_journal ADD COLUMN
    -- Of an entry that is older than this column, nobody knows it.
    version INTEGER CHECK (version BETWEEN 0 AND 4294967295);
