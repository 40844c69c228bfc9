-- The inbox in PostgreSQL, version 2: events that the inbox holds. They are acked at the broker, and its own to handle.
-- compatible_from: 1
--
-- A held event is `retrying`. A program of version 1 takes one that is delivered again for another attempt.

-- The event that it waits for, of the same source; nothing where it waits for its next attempt.
ALTER TABLE inbox_event ADD COLUMN held_after text COLLATE "C";
-- When it is looked at again. Of an event that is not held there is none, or it is `processed`, `failed` or `skipped`.
ALTER TABLE inbox_event ADD COLUMN due_at timestamptz;
-- No row has one yet, and so none need be read.
ALTER TABLE inbox_event ADD CONSTRAINT due_at_of_the_calendar
    CHECK (due_at < '262143-01-01 00:00:00+00' AND due_at > '-infinity') NOT VALID;

CREATE INDEX inbox_due ON inbox_event (due_at) WHERE status = 'retrying' AND due_at IS NOT NULL;
CREATE INDEX inbox_held ON inbox_event (source_system, held_after)
    WHERE status = 'retrying' AND held_after IS NOT NULL;
