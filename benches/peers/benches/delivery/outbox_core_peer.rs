//! `outbox-core` 0.6 with `outbox-postgres` 0.3: its manager, a transport that takes
//! every event, and batches of 1000 (its README shows 100, with which it is slower).

use std::sync::Arc;
use std::time::{Duration, Instant};

use outbox_core::prelude::*;
use outbox_postgres::{PostgresOutbox, PostgresWriter};
use sqlx_08::PgPool;
use tokio::sync::watch;
use tokio_postgres::Client;

use super::{BATCH, DATABASE, Lead, Outcome, Peer, connect, lead, until_none, url};

pub(crate) struct OutboxCore {
    pool: PgPool,
    config: Arc<OutboxConfig<Lead>>,
    client: Client,
}

struct AtOnce;

#[async_trait::async_trait]
impl Transport<Lead> for AtOnce {
    async fn publish(&self, _: Event<Lead>) -> Result<(), OutboxError> {
        Ok(())
    }
}

impl OutboxCore {
    pub(crate) async fn new() -> Outcome<Self> {
        let client = connect(DATABASE).await?;
        client.batch_execute(TABLES).await?;
        let mut config = OutboxConfig::default();
        config.batch_size = u32::try_from(BATCH)?;
        config.lock_timeout_mins = 1;
        config.idempotency_strategy = IdempotencyStrategy::None;
        Ok(Self { pool: PgPool::connect(&url(DATABASE)).await?, config: Arc::new(config), client })
    }
}

impl Peer for OutboxCore {
    async fn enqueue(&mut self) -> Outcome {
        let service = OutboxService::new(Arc::new(PostgresWriter), Arc::clone(&self.config));
        let mut business = self.pool.begin().await?;
        service.add_event("LeadCreated", lead(), None, &mut *business).await?;
        Ok(business.commit().await?)
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        let service = OutboxService::new(Arc::new(PostgresWriter), Arc::clone(&self.config));
        let mut business = self.pool.begin().await?;
        for _ in 0..events {
            service.add_event("LeadCreated", lead(), None, &mut *business).await?;
        }
        business.commit().await?;
        Ok(self.client.batch_execute("VACUUM ANALYZE outbox_events").await?)
    }

    async fn drain(&mut self, _: usize) -> Outcome<Duration> {
        let storage = PostgresOutbox::new(self.pool.clone(), Arc::clone(&self.config));
        let (stop, stopped) = watch::channel(false);
        let manager = OutboxManagerBuilder::new()
            .storage(Arc::new(storage))
            .publisher(Arc::new(AtOnce))
            .config(Arc::clone(&self.config))
            .shutdown_rx(stopped)
            .build()?;
        let start = Instant::now();
        let manager = tokio::spawn(async move { manager.run().await });
        until_none(&self.client, "SELECT count(*) FROM outbox_events WHERE status IN ('Pending', 'Processing')")
            .await?;
        let time = start.elapsed();
        stop.send(true)?;
        manager.await??;
        Ok(time)
    }
}

/// As its own first migration makes them.
const TABLES: &str = "
    CREATE TYPE status AS ENUM ('Pending', 'Processing', 'Sent');
    CREATE TABLE outbox_events (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        idempotency_token text DEFAULT NULL,
        event_type text NOT NULL,
        payload jsonb NOT NULL,
        status status NOT NULL DEFAULT 'Pending',
        created_at timestamptz NOT NULL DEFAULT now(),
        locked_until timestamptz NOT NULL DEFAULT '-infinity'
    );
    CREATE INDEX idx_outbox_processing_queue ON outbox_events (locked_until ASC, status)
        WHERE status IN ('Pending', 'Processing');
    CREATE UNIQUE INDEX idx_outbox_idempotency ON outbox_events (idempotency_token);
    CREATE FUNCTION notify_outbox_event() RETURNS trigger AS $$
    BEGIN
        PERFORM pg_notify('outbox_event', 'ping');
        RETURN new;
    END
    $$ LANGUAGE plpgsql;
    CREATE TRIGGER outbox_events_notify_trigger AFTER INSERT OR UPDATE ON outbox_events
        FOR EACH ROW EXECUTE FUNCTION notify_outbox_event();";
