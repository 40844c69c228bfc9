-- The outbox in SQLite, version 2: which event of an ordering key was confirmed last.
-- compatible_from: 1
--
-- A claim names that event to the next one of its key, so that a consumer knows what it waits for. A relay of version 1
-- does neither: the order is told without gaps once none is left.
CREATE TABLE outbox_chain (
    ordering_key TEXT NOT NULL,
    source_system TEXT NOT NULL,
    -- The last event of this key and source that the broker has confirmed.
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    -- The day of that, counted from 1970: the index of a busy key changes once a day.
    confirmed_on INTEGER NOT NULL,
    PRIMARY KEY (ordering_key, source_system)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_chain_rest ON outbox_chain (confirmed_on);
