-- The inbox in SQLite, version 4: an attempt that shared a transaction is told from one that was alone.
-- compatible_from: 1
--
-- An older program takes one that never ended for one that did, and counts it. The table is written anew: a million events
-- take some seconds, in which nobody else writes.

-- As before, and of what is `retrying`: `shared`: it was about to share a transaction, nobody has seen its end, and it counts
-- once the event ends a process alone. `alone`: after a shared one with the same number it has begun alone, nobody has seen
-- either end, and both count.
ALTER TABLE inbox_event ADD COLUMN latest_attempt TEXT
    CHECK (latest_attempt = 'begun' OR latest_attempt = 'shared' OR latest_attempt = 'alone'
        OR latest_attempt = 'uncounted' OR latest_attempt = 'unknown'
        OR latest_attempt = 'forestalled' OR latest_attempt = 'forgotten');
UPDATE inbox_event SET latest_attempt = last_attempt WHERE last_attempt IS NOT NULL;
ALTER TABLE inbox_event DROP COLUMN last_attempt;
ALTER TABLE inbox_event RENAME COLUMN latest_attempt TO last_attempt;
