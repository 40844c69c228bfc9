//! Ours: a relay with 1000 events in flight, to a receiver that confirms at once, or by a
//! worker to the committed effect.

use std::time::{Duration, Instant};

use integration_automation_patterns::broker::{Broker, BrokerError, in_process};
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{InboxConfig, postgres as inbox};
use integration_automation_patterns::outbox::driver;
use integration_automation_patterns::outbox::postgres::{self, Outbox, Statements};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::state::{Dispatched, Pending};
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use sqlx_08::PgPool;
use tokio_postgres::Client;

use super::{BATCH, DATABASE, Outcome, PAYLOAD, Peer, connect, url};

pub(crate) struct Ours {
    client: Client,
    statements: Statements,
    outbox: Outbox,
}

/// A broker that confirms at once.
struct AtOnce;

impl Broker for AtOnce {
    const SYSTEM: &'static str = "at_once";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        Ok(())
    }
}

impl Ours {
    pub(crate) async fn new() -> Outcome<Self> {
        let outbox = Outbox::connect(url(DATABASE).parse()?).await?;
        Ok(Self { client: connect(DATABASE).await?, statements: Statements::new(), outbox })
    }
}

fn event() -> Outcome<Envelope<Pending>> {
    Ok(Envelope::builder("crm", RawEvent::new("crm.lead.created", PAYLOAD)).build()?)
}

impl Peer for Ours {
    async fn enqueue(&mut self) -> Outcome {
        let business = self.client.transaction().await?;
        postgres::enqueue(&self.statements.on(&business), event()?).await?;
        Ok(business.commit().await?)
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        let business = self.client.transaction().await?;
        postgres::enqueue_all(&business, (0..events).map(|_| event()).collect::<Outcome<_>>()?).await?;
        business.commit().await?;
        Ok(self.client.batch_execute("VACUUM ANALYZE outbox_event").await?)
    }

    async fn drain(&mut self, events: usize) -> Outcome<Duration> {
        let config = RelayConfig::default().in_flight(BATCH).poll_interval(Duration::from_millis(1));
        let relay = Relay::new("bench", self.outbox.clone(), AtOnce, config)?;
        let start = Instant::now();
        let summary = relay.run_until_idle(std::future::pending::<()>()).await;
        let time = start.elapsed();
        assert_eq!(summary.acknowledged, u64::try_from(events)?);
        Ok(time)
    }
}

/// The same, but enqueued by the driver of the peer, which keeps prepared statements.
pub(crate) struct OnSqlx {
    ours: Ours,
    pool: PgPool,
}

impl OnSqlx {
    pub(crate) async fn new() -> Outcome<Self> {
        Ok(Self { ours: Ours::new().await?, pool: PgPool::connect(&url(DATABASE)).await? })
    }
}

impl Peer for OnSqlx {
    async fn enqueue(&mut self) -> Outcome {
        let mut business = self.pool.begin().await?;
        driver::enqueue(&mut business, event()?).await?;
        Ok(business.commit().await?)
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        self.ours.fill(events).await
    }

    async fn drain(&mut self, events: usize) -> Outcome<Duration> {
        self.ours.drain(events).await
    }
}

/// The same, but each event has an effect: a row, in the transaction that remembers it.
pub(crate) struct ToEffect(Ours);

impl ToEffect {
    pub(crate) async fn new() -> Outcome<Self> {
        let ours = Ours::new().await?;
        ours.client.batch_execute("CREATE TABLE effect (lead bytea)").await?;
        Ok(Self(ours))
    }
}

impl Peer for ToEffect {
    async fn enqueue(&mut self) -> Outcome {
        self.0.enqueue().await
    }

    async fn fill(&mut self, events: usize) -> Outcome {
        self.0.fill(events).await
    }

    async fn drain(&mut self, events: usize) -> Outcome<Duration> {
        let (broker, listener) = in_process(BATCH);
        let config = RelayConfig::default().in_flight(BATCH).poll_interval(Duration::from_millis(1));
        let relay = Relay::new("bench", self.0.outbox.clone(), broker, config)?;
        let handlers = inbox::handlers().otherwise(async |transaction, lead| {
            let sql = "INSERT INTO effect VALUES ($1)";
            transaction.execute(sql, &[&lead.payload().bytes()]).await?;
            Ok(())
        });
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
        let database = url(DATABASE).parse()?;
        let worker = inbox::Worker::connect(database, config, listener, handlers, WorkerConfig::default()).await?;
        let start = Instant::now();
        // A send is confirmed once its effect is committed: where the relay is idle, all is.
        let summary = worker.run(relay.run_until_idle(std::future::pending::<()>())).await;
        let time = start.elapsed();
        assert_eq!(summary.processed, u64::try_from(events)?);
        Ok(time)
    }
}
