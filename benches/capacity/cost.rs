//! What one event costs, in each half: enqueued, relayed and purged in the outbox; handled
//! and purged in the inbox.

use std::time::{Duration, Instant};

use integration_automation_patterns::RetryPolicy;
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::inbox::{InboxConfig, postgres as inbox};
use integration_automation_patterns::outbox::Admin as _;
use integration_automation_patterns::outbox::postgres::{self as outbox, Outbox};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use tokio_postgres::{Client, Config};

use crate::database::{connect, counters, fresh};
use crate::{Amount, AtOnce, Outcome, Ready, event};

/// How often the outbox is filled, emptied and vacuumed before its bytes are counted: what
/// was dead is room for what follows.
const CHURNS: usize = 5;

pub(crate) const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What one event costs in one stage.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) transactions: f64,
    pub(crate) ids: f64,
    pub(crate) wal: f64,
    pub(crate) dead: f64,
}

impl Cost {
    fn values(self) -> [f64; 4] {
        [self.transactions, self.ids, self.wal, self.dead]
    }

    fn of([transactions, ids, wal, dead]: [f64; 4]) -> Self {
        Self { transactions, ids, wal, dead }
    }

    fn over(self, events: f64) -> Self {
        Self::of(self.values().map(|value| value / events))
    }

    /// The cost of stages one after another.
    pub(crate) fn sum(stages: &[Self]) -> Self {
        let sum = |place: usize| stages.iter().map(|stage| stage.values()[place]).sum();
        Self::of(std::array::from_fn(sum))
    }
}

/// What is measured.
#[derive(Clone, Copy, Default)]
pub(crate) struct Costs {
    pub(crate) enqueued: Cost,
    pub(crate) relayed: Cost,
    pub(crate) outbox_purged: Cost,
    pub(crate) handled: Cost,
    pub(crate) inbox_purged: Cost,
    /// Bytes kept of an event, with its share of the indexes.
    pub(crate) outbox_bytes: f64,
    pub(crate) inbox_bytes: f64,
    /// Seconds for which `VACUUM` needs for the dead rows of one relayed event.
    pub(crate) vacuum: f64,
}

impl Costs {
    /// The median of each number over the rounds.
    fn median(rounds: &[Self]) -> Self {
        let median = |number: &dyn Fn(&Self) -> f64| {
            let mut numbers: Vec<f64> = rounds.iter().map(number).collect();
            numbers.sort_by(f64::total_cmp);
            numbers[numbers.len() / 2]
        };
        let cost = |stage: fn(&Self) -> Cost| {
            let number =
                |place: usize| median(&move |round| stage(round).values()[place]);
            Cost::of(std::array::from_fn(number))
        };
        Self {
            enqueued: cost(|round| round.enqueued),
            relayed: cost(|round| round.relayed),
            outbox_purged: cost(|round| round.outbox_purged),
            handled: cost(|round| round.handled),
            inbox_purged: cost(|round| round.inbox_purged),
            outbox_bytes: median(&|round| round.outbox_bytes),
            inbox_bytes: median(&|round| round.inbox_bytes),
            vacuum: median(&|round| round.vacuum),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "| an event, 250 bytes | transactions | transaction ids | bytes of WAL | dead rows |"
        );
        println!("|---|---|---|---|---|");
        for (stage, cost) in [
            ("enqueued, 1 in a transaction", self.enqueued),
            ("claimed and settled by a relay, 1000 in flight", self.relayed),
            ("purged from the outbox", self.outbox_purged),
            ("handled by a worker, one row for its effect", self.handled),
            ("purged from the inbox", self.inbox_purged),
        ] {
            let Cost { transactions, ids, wal, dead } = cost;
            println!("| {stage} | {transactions:.2} | {ids:.2} | {wal:.0} | {dead:.2} |");
        }
        println!("\n| kept of an event, with its indexes | bytes |\n|---|---|");
        println!("| in the outbox | {:.0} |", self.outbox_bytes);
        println!("| in the inbox | {:.0} |", self.inbox_bytes);
    }
}

pub(crate) async fn measure(amount: Amount) -> Outcome<Costs> {
    let mut rounds = Vec::with_capacity(amount.rounds);
    for _ in 0..amount.rounds {
        rounds.push(round(amount.events).await?);
    }
    Ok(Costs::median(&rounds))
}

async fn round(events: usize) -> Outcome<Costs> {
    let config = fresh().await?;
    let meter = Meter { client: connect(&config).await?, config: config.clone(), events };
    let enqueued = meter.measure(enqueue(&config, events)).await?;
    let relayed = meter.measure(relay(&config, events)).await?;
    let start = Instant::now();
    meter.sql("VACUUM outbox_event").await?;
    let vacuum = start.elapsed().as_secs_f64() / events as f64;
    for _ in 1..CHURNS {
        fill(&config, events).await?;
        relay(&config, events).await?;
        meter.sql("VACUUM outbox_event").await?;
    }
    let outbox_bytes = meter.bytes("outbox_event").await? / CHURNS as f64;
    meter.age("outbox_event", "done_at").await?;
    let outbox_purged = meter.measure(purge_outbox(&config)).await?;
    meter.sql("CREATE TABLE effect (lead bytea)").await?;
    let handled = meter.measure(handle(&config, events, None)).await?;
    let inbox_bytes = meter.bytes("inbox_event").await?;
    meter.age("inbox_event", "received_at").await?;
    let inbox_purged = meter.measure(purge_inbox(&config)).await?;
    Ok(Costs {
        enqueued,
        relayed,
        outbox_purged: outbox_purged.over(CHURNS as f64),
        handled,
        inbox_purged,
        outbox_bytes,
        inbox_bytes,
        vacuum,
    })
}

/// Measures work on so many events.
struct Meter {
    client: Client,
    config: Config,
    events: usize,
}

impl Meter {
    async fn measure(&self, work: impl Future<Output = Outcome>) -> Outcome<Cost> {
        let before = counters(&self.client).await?;
        work.await?;
        let after = counters(&self.client).await?;
        let cost = Cost {
            transactions: after.transactions - before.transactions,
            ids: after.ids - before.ids,
            wal: after.wal - before.wal,
            dead: after.dead - before.dead,
        };
        Ok(cost.over(self.events as f64))
    }

    /// On a connection of its own, which reports what it did when it ends.
    async fn sql(&self, sql: &str) -> Outcome {
        Ok(connect(&self.config).await?.batch_execute(sql).await?)
    }

    /// The bytes of a table and its indexes, for one event.
    async fn bytes(&self, table: &str) -> Outcome<f64> {
        let sql = format!("SELECT pg_total_relation_size('{table}')::float8");
        let bytes: f64 = self.client.query_one(&sql, &[]).await?.try_get(0)?;
        Ok(bytes / self.events as f64)
    }

    /// Makes all events older than they are kept.
    async fn age(&self, table: &str, column: &str) -> Outcome {
        let sql = format!("UPDATE {table} SET {column} = {column} - interval '8 days'");
        self.sql(&sql).await?;
        self.sql(&format!("VACUUM {table}")).await
    }
}

/// Enqueues, each event in a transaction of its own.
pub(crate) async fn enqueue(config: &Config, events: usize) -> Outcome {
    let mut client = connect(config).await?;
    for _ in 0..events {
        let business = client.transaction().await?;
        outbox::enqueue(&business, event()).await?;
        business.commit().await?;
    }
    Ok(())
}

/// Enqueues in one transaction.
pub(crate) async fn fill(config: &Config, events: usize) -> Outcome {
    let mut client = connect(config).await?;
    let business = client.transaction().await?;
    outbox::enqueue_all(&business, (0..events).map(|_| event()).collect()).await?;
    Ok(business.commit().await?)
}

/// Sends all that is due.
pub(crate) async fn relay(config: &Config, events: usize) -> Outcome {
    let outbox = Outbox::connect(config.clone()).await?;
    let config =
        RelayConfig::default().in_flight(1_000).poll_interval(Duration::from_millis(1));
    let relay = Relay::new("bench", outbox, AtOnce, config)?;
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    assert!(summary.acknowledged <= events as u64);
    Ok(())
}

/// Handles so many deliveries, each with one row for its effect.
pub(crate) async fn handle(
    config: &Config,
    events: usize,
    lanes: Option<usize>,
) -> Outcome {
    let handlers = inbox::handlers().otherwise(async |transaction, lead| {
        let sql = "INSERT INTO effect VALUES ($1)";
        transaction.execute(sql, &[&lead.payload().bytes()]).await?;
        Ok(())
    });
    let as_usual = WorkerConfig::default();
    let worker_config = lanes.map_or(as_usual.clone(), |lanes| as_usual.lanes(lanes));
    let (database, ready) = (config.clone(), Ready::new(events));
    let worker =
        inbox::Worker::connect(database, inbox_config()?, ready, handlers, worker_config);
    let summary = worker.await?.run(std::future::pending::<()>()).await;
    assert_eq!(summary.processed, events as u64);
    Ok(())
}

fn inbox_config() -> Outcome<InboxConfig> {
    Ok(InboxConfig::new(WEEK, RetryPolicy::DEFAULT)?)
}

const PURGED: usize = 10_000;

async fn purge_outbox(config: &Config) -> Outcome {
    let outbox = Outbox::connect(config.clone()).await?;
    while outbox.purge(WEEK, PURGED).await? == PURGED as u64 {}
    Ok(())
}

async fn purge_inbox(config: &Config) -> Outcome {
    let (client, inbox_config) = (connect(config).await?, inbox_config()?);
    while inbox::purge(&client, &inbox_config, PURGED).await? == PURGED as u64 {}
    Ok(())
}
