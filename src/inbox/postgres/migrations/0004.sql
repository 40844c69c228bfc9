-- The inbox in PostgreSQL, version 4: an attempt that shared a transaction is told from one that was alone.
-- compatible_from: 1
--
-- An older program takes one that never ended for one that did, and counts it.

-- As before, and of what is `retrying`: `shared`: it was about to share a transaction, nobody has seen its end, and it counts
-- once the event ends a process alone. `alone`: after a shared one with the same number it has begun alone, nobody has seen
-- either end, and both count.
ALTER TABLE inbox_event DROP CONSTRAINT last_attempt_is_known;
-- Every row passes, and so none need be read.
ALTER TABLE inbox_event ADD CONSTRAINT last_attempt_is_known
    CHECK (last_attempt IN ('begun', 'shared', 'alone', 'uncounted', 'unknown', 'forestalled', 'forgotten')) NOT VALID;
