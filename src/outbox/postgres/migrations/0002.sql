-- The outbox in PostgreSQL, version 2: which event of an ordering key was confirmed last.
-- compatible_from: 1
--
-- A claim names that event to the next one of its key, so that a consumer knows what it waits for. A relay of version 1
-- does neither: the order is told without gaps once none is left. Roles that work with `outbox_event` need the same
-- rights on this table.
CREATE TABLE outbox_chain (
    ordering_key text COLLATE "C" NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    -- The last event of this key and source that the broker has confirmed.
    sequence bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    -- The day of that, in UTC: the index of a busy key changes once a day.
    confirmed_on date NOT NULL,
    PRIMARY KEY (ordering_key, source_system)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000
);

CREATE INDEX outbox_chain_rest ON outbox_chain (confirmed_on);
