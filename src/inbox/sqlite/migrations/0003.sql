-- The inbox in SQLite, version 3: the state of an event's last attempt has a column, and is not read out of its reason.
-- compatible_from: 1
--
-- An older program leaves the column as it was, whatever becomes of the row. Over NULL, an attempt that it takes back, or
-- refuses, counts as one that ended. Over `uncounted`, one that it ends does not count: the event has one more than its policy
-- allows. Over `unknown`, an event that it has tried and given up is begun anew when it is delivered again.

-- Of what is `retrying` or `failed`. `begun`: nobody has seen its end. `uncounted`: the next one has the same number.
-- `unknown`: there was none, as the configuration did not name the event. NULL: it ended, and counts.
-- Of what is `skipped`. `forestalled`: none follows, and none had an effect. `forgotten`: the same, but that one may have
-- had an effect and been purged. NULL: a person discarded it.
ALTER TABLE inbox_event ADD COLUMN last_attempt TEXT
    CHECK (last_attempt = 'begun' OR last_attempt = 'uncounted' OR last_attempt = 'unknown'
        OR last_attempt = 'forestalled' OR last_attempt = 'forgotten');

UPDATE inbox_event SET last_attempt = 'begun'
    WHERE status IN ('retrying', 'failed') AND failure_reason = 'the consumer ended before its effect did';
UPDATE inbox_event SET last_attempt = 'uncounted'
    WHERE status = 'retrying' AND (held_after IS NOT NULL OR failure_reason LIKE 'an attempt was taken back: %');
UPDATE inbox_event SET last_attempt = 'unknown'
    WHERE status = 'failed' AND (failure_reason LIKE 'unknown event type "%": this inbox takes in %'
        OR failure_reason LIKE 'unknown schema version "%" of %: this inbox takes in %');
