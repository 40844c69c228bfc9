//! What outbox and inbox cost, each figure a ratio of two things measured in turn in one
//! run.
//!
//! The bare statements are what nobody can leave out: the same inserts and updates with
//! the same commits, written by hand with the same driver on a table made by the same
//! SQL, with prepared statements and values that are text already. They check nothing,
//! keep no ordering keys, fence nothing, and hand out rows instead of events.
//!
//! `cargo bench --bench delivery --features sqlite`, with `postgres` for both databases
//! and with `nats`, `amqp`, `amqp1`, `kafka`, `pubsub`, `sqs` and `webhook` for those;
//! `-- kafka` or `-- end_to_end` measures one of them alone, and `-- quick` is for a try.

#[cfg(feature = "amqp1")]
mod amqp1;
mod end_to_end;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "pubsub")]
mod pubsub;
#[cfg(any(
    feature = "amqp",
    feature = "amqp1",
    feature = "kafka",
    feature = "nats",
    feature = "postgres",
    feature = "pubsub",
    feature = "sqs"
))]
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../support/side_by_side.rs"]
mod side_by_side;
mod sqlite;
#[cfg(feature = "sqs")]
mod sqs;
#[path = "../support/delivery.rs"]
mod support;
#[cfg(feature = "webhook")]
mod webhook;
mod worker;

use std::time::{Duration, Instant};

use integration_automation_patterns::EventId;
use integration_automation_patterns::outbox::{ClaimOrder, Claimed, Settlement, Store};
use integration_automation_patterns::relay::{Relay, RelayConfig};

pub(crate) use self::side_by_side::{median, ratio, timed};
pub(crate) use self::support::{AtOnce, Outcome, PAYLOAD, Ready, event};

/// How much is measured: in full, or for a try.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// How often two sides are compared.
    pub(crate) pairs: usize,
    /// The events that stand in a table beside those that are claimed.
    pub(crate) depths: [u32; 3],
}

const IN_FULL: Amount = Amount { pairs: 301, depths: [1_000, 100_000, 1_000_000] };
const QUICK: Amount = Amount { pairs: 51, depths: [1_000, 10_000, 100_000] };

/// The events of one claim where its cost at several depths is compared.
pub(crate) const CLAIM: usize = 100;

/// The events of one run of a relay.
pub(crate) const RELAYED: usize = 2_000;
pub(crate) const THROUGH_RELAY: &str =
    "through a relay with 1000 in flight and a broker that confirms at once";

fn main() -> Outcome {
    let said: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (quick, only): (Vec<&str>, Vec<&str>) =
        said.iter().map(String::as_str).partition(|word| *word == "quick");
    let amount = if quick.is_empty() { IN_FULL } else { QUICK };
    let measures = |name: &str| only.is_empty() || only.contains(&name);
    println!("| figure | measured | reach |");
    println!("|---|---|---|");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if measures("sqlite") {
            sqlite::measure(amount).await?;
        }
        #[cfg(feature = "postgres")]
        if measures("postgres") {
            postgres::measure(amount).await?;
        }
        if measures("worker") {
            worker::measure(amount).await?;
        }
        if measures("end_to_end") {
            end_to_end::measure(amount).await?;
        }
        #[cfg(feature = "amqp1")]
        if measures("amqp1") {
            amqp1::measure(amount).await?;
        }
        #[cfg(feature = "kafka")]
        if measures("kafka") {
            kafka::measure(amount).await?;
        }
        #[cfg(feature = "pubsub")]
        if measures("pubsub") {
            pubsub::measure(amount).await?;
        }
        #[cfg(feature = "sqs")]
        if measures("sqs") {
            sqs::measure(amount).await?;
        }
        #[cfg(feature = "webhook")]
        if measures("webhook") {
            webhook::measure(amount).await?;
        }
        Ok(())
    })
}

/// What we are measured against in a database.
pub(crate) const BARE: &str = "the bare statements";

/// Prints how many events per second there are beside what is bare.
pub(crate) async fn side_by_side(
    database: &str,
    what: &str,
    beside: &str,
    pairs: usize,
    ours: impl AsyncFnMut() -> Outcome<Duration>,
    bare: impl AsyncFnMut() -> Outcome<Duration>,
) -> Outcome {
    let ratio = ratio(pairs, ours, bare).await?;
    println!(
        "| {database}: events per second {what}, beside {beside} | {ratio:.2} | at least 0.8 |"
    );
    Ok(())
}

/// The columns that a program writes of such an event.
pub(crate) struct BareEvent {
    pub(crate) id: String,
    pub(crate) event_type: &'static str,
    pub(crate) source_system: &'static str,
    pub(crate) schema_version: &'static str,
    pub(crate) correlation_id: Option<&'static str>,
    pub(crate) payload: &'static [u8],
    pub(crate) tags: &'static str,
    pub(crate) retry_policy: &'static str,
    pub(crate) created_at: chrono::DateTime<chrono::Utc>,
}

pub(crate) fn bare_event() -> BareEvent {
    BareEvent {
        id: EventId::generate().to_string(),
        event_type: "crm.lead.created",
        source_system: "crm",
        schema_version: "1.0",
        correlation_id: Some("import-2026-01-05"),
        payload: PAYLOAD.as_bytes(),
        tags: r#"{"region":"eu-west-1"}"#,
        retry_policy: "3 exponential 30s 3600s",
        created_at: chrono::Utc::now(),
    }
}

pub(crate) fn order(limit: usize) -> ClaimOrder {
    ClaimOrder::new("bench", limit, Duration::from_secs(30))
}

/// Claims a batch and settles all of it, as if a broker had confirmed each at once.
pub(crate) async fn claim_and_settle(store: &impl Store, batch: usize) -> Outcome {
    let claimed = store.claim(&order(batch)).await?;
    assert_eq!(claimed.claims.len(), batch);
    let settlements: Vec<Settlement> =
        claimed.claims.into_iter().map(|claim| claim.acknowledge()).collect();
    let lost = store.settle(&settlements).await?;
    assert!(lost.is_empty());
    Ok(())
}

/// Has claims put aside what is blocked, as the first ones that meet it do.
pub(crate) async fn put_aside(store: &impl Store) -> Outcome {
    loop {
        let claimed = store.claim(&order(CLAIM)).await?;
        let aside = claimed.blocked;
        release(store, claimed).await?;
        if aside == 0 {
            return Ok(());
        }
    }
}

async fn release(store: &impl Store, claimed: Claimed) -> Outcome {
    let back: Vec<Settlement> =
        claimed.claims.into_iter().map(|claim| claim.release("a bench")).collect();
    let lost = store.settle(&back).await?;
    assert!(lost.is_empty());
    Ok(())
}

/// The time of one claim, whose events then go back.
async fn claim_alone(store: &impl Store) -> Outcome<Duration> {
    let start = Instant::now();
    let claimed = store.claim(&order(CLAIM)).await?;
    let time = start.elapsed();
    assert_eq!(claimed.claims.len(), CLAIM);
    release(store, claimed).await?;
    Ok(time)
}

/// The time of claims at three depths, in turn.
pub(crate) async fn claims_at_depths(
    database: &str,
    state: &str,
    amount: Amount,
    stores: &[impl Store],
) -> Outcome {
    let mut rounds = Vec::new();
    for round in 0..=amount.pairs / 3 {
        let mut times = [Duration::ZERO; 3];
        for (time, store) in times.iter_mut().zip(stores) {
            *time = claim_alone(store).await?;
        }
        if round > 0 {
            rounds.push(times);
        }
    }
    for (place, depth) in amount.depths.into_iter().enumerate().skip(1) {
        let ratios = rounds
            .iter()
            .map(|times| times[place].as_secs_f64() / times[0].as_secs_f64())
            .collect();
        println!(
            "| {database}: a claim beside {depth} events {state}, beside {} | {:.2} | at most 1.5 |",
            amount.depths[0],
            median(ratios)
        );
    }
    Ok(())
}

/// Sends all that is due through a relay.
pub(crate) async fn relay(store: impl Store, events: usize) -> Outcome<Duration> {
    let config =
        RelayConfig::default().in_flight(1_000).poll_interval(Duration::from_millis(1));
    let relay = Relay::new("bench", store, AtOnce, config)?;
    let start = Instant::now();
    let summary = relay.run_until_idle(std::future::pending::<()>()).await;
    let time = start.elapsed();
    assert_eq!(summary.acknowledged, u64::try_from(events)?);
    Ok(time)
}
