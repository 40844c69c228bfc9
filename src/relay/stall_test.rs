//! Proof that a run until idle ends when it is to, and counts what is stored, however
//! long its store takes to settle.

use std::error::Error;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::{Relay, RelayConfig, Summary};
use crate::broker::{Broker, BrokerError};
use crate::outbox::sqlite::{Outbox, enqueue};
use crate::outbox::{
    ClaimOrder, Claimed, HeldLease, LeaseLostError, Settlement, Store, StoreError,
};
use crate::retry::{Backoff, RetryPolicy};
use crate::state::Dispatched;
use crate::{Envelope, RawEvent};

/// How often a run looks into its store.
const POLL: Duration = Duration::from_millis(50);

/// Longer than a poll, and than the first pause of an outage.
const STALL: Duration = Duration::from_millis(200);

/// A broker that answers a send by its number, from 0.
struct Answering<F> {
    sends: AtomicUsize,
    answer: F,
}

impl<F> Broker for Answering<F>
where
    F: Fn(usize) -> (Duration, Result<(), BrokerError>) + Send + Sync + 'static,
{
    const SYSTEM: &'static str = "answering";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let (after, answer) = (self.answer)(self.sends.fetch_add(1, Ordering::Relaxed));
        sleep(after).await;
        answer
    }
}

/// An outbox that takes long to settle.
struct Stalling {
    outbox: Outbox,
    /// Whether its next settlement is stored and not answered.
    loses_answer: AtomicBool,
}

impl crate::outbox::sealed::Sealed for Stalling {}

impl Store for Stalling {
    async fn claim(&self, order: &ClaimOrder) -> Result<Claimed, StoreError> {
        self.outbox.claim(order).await
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        sleep(STALL).await;
        let lost = self.outbox.settle(settlements).await;
        if self.loses_answer.swap(false, Ordering::Relaxed) {
            pending::<()>().await;
        }
        lost
    }

    async fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        self.outbox.renew(held, lease).await
    }

    async fn wait(&self, at_most: Duration) {
        self.outbox.wait(at_most).await;
    }
}

/// Runs until idle, by a clock that stands still while anything else happens.
async fn run<F>(
    name: &str,
    events: usize,
    loses_answer: bool,
    answer: F,
) -> Result<Summary, Box<dyn Error>>
where
    F: Fn(usize) -> (Duration, Result<(), BrokerError>) + Send + Sync + 'static,
{
    let file =
        std::env::temp_dir().join(format!("stall-{}-{name}.db", std::process::id()));
    let outbox = Outbox::open(&file)?;
    let loses_answer = AtomicBool::new(loses_answer);
    let store = Stalling { outbox, loses_answer };
    let mut business = rusqlite::Connection::open(&file)?;
    let transaction = business.transaction()?;
    let policy = RetryPolicy::new(2, Backoff::Fixed(Duration::ZERO))?;
    for _ in 0..events {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        enqueue(&transaction, event.retry_policy(policy).build()?)?;
    }
    transaction.commit()?;
    let broker = Answering { sends: AtomicUsize::new(0), answer };
    let config = RelayConfig::default().poll_interval(POLL);
    let relay = Relay::new("relay-1", store, broker, config)?;
    let summary = relay.run_until_idle(pending::<()>()).await;
    std::fs::remove_file(file)?;
    Ok(summary)
}

/// A retry that is due at once would be left to the next run.
#[tokio::test(start_paused = true)]
async fn a_run_does_not_end_before_a_retry_that_is_due() -> Result<(), Box<dyn Error>> {
    let first_fails = |number| {
        let answer = match number {
            0 => Err(BrokerError::transient("connection reset")),
            _ => Ok(()),
        };
        (Duration::ZERO, answer)
    };
    let summary = run("retry", 1, false, first_fails).await?;
    assert_eq!((summary.retrying, summary.acknowledged), (1, 1));
    Ok(())
}

/// A run that an outage is to end would send again instead.
#[tokio::test(start_paused = true)]
async fn an_outage_ends_a_run_although_its_pause_is_over() -> Result<(), Box<dyn Error>> {
    let unreachable = |number| {
        // The second is on its way while the first is settled.
        let after = if number == 1 { POLL } else { Duration::ZERO };
        (after, Err(BrokerError::unreachable("connection refused")))
    };
    let summary = run("outage", 2, false, unreachable).await?;
    assert_eq!((summary.claimed, summary.released), (2, 2));
    Ok(())
}

/// What is stored would be taken for lost, with its event sent and not confirmed.
#[tokio::test(start_paused = true)]
async fn a_settlement_whose_answer_is_lost_is_no_lost_lease() -> Result<(), Box<dyn Error>>
{
    let summary = run("answer", 2, true, |_| (Duration::ZERO, Ok(()))).await?;
    assert_eq!((summary.claimed, summary.acknowledged), (2, 2));
    assert_eq!(summary.leases_lost, 0);
    Ok(())
}
