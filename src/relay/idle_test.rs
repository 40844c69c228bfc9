//! Proof that a relay's broker is not idle while its store writes.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Relay, RelayConfig};
use crate::broker::{Broker, BrokerError};
use crate::outbox::sqlite::{Outbox, enqueue};
use crate::outbox::{
    ClaimOrder, Claimed, HeldLease, LeaseLostError, Settlement, Store, StoreError,
};
use crate::state::Dispatched;
use crate::{Envelope, RawEvent};

const ALL: usize = 5;

/// A broker that confirms each event at once, and counts them.
#[derive(Clone)]
struct Counting(Arc<watch::Sender<usize>>);

impl Broker for Counting {
    const SYSTEM: &'static str = "counting";

    async fn send(&self, _: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.0.send_modify(|confirmed| *confirmed = confirmed.saturating_add(1));
        Ok(())
    }
}

/// An outbox that settles only once more is confirmed than there is to settle, up to all
/// that there is.
struct Behind {
    store: Outbox,
    confirmed: watch::Receiver<usize>,
    settled: AtomicUsize,
}

impl crate::outbox::sealed::Sealed for Behind {}

impl Store for Behind {
    async fn claim(&self, order: &ClaimOrder) -> Result<Claimed, StoreError> {
        self.store.claim(order).await
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        let before = self.settled.fetch_add(settlements.len(), Ordering::Relaxed);
        let more = before.saturating_add(settlements.len()).saturating_add(1);
        let mut confirmed = self.confirmed.clone();
        // The broker is there as long as its relay is.
        let _ = confirmed.wait_for(|confirmed| *confirmed >= ALL.min(more)).await;
        self.store.settle(settlements).await
    }

    async fn renew(
        &self,
        held: &[HeldLease],
        lease: Duration,
    ) -> Result<Vec<LeaseLostError>, StoreError> {
        self.store.renew(held, lease).await
    }

    async fn wait(&self, at_most: Duration) {
        self.store.wait(at_most).await;
    }
}

#[tokio::test]
async fn what_is_claimed_is_sent_while_the_rest_is_settled() -> Result<(), Box<dyn Error>>
{
    let folder = std::env::temp_dir();
    let file = folder.join(format!("idle-{}.db", std::process::id()));
    let store = Outbox::open(&file)?;
    let mut business = rusqlite::Connection::open(&file)?;
    let transaction = business.transaction()?;
    for _ in 0..ALL {
        let event = RawEvent::new("crm.lead.created", b"{}");
        enqueue(&transaction, Envelope::builder("crm", event).build()?)?;
    }
    transaction.commit()?;

    let broker = Counting(Arc::new(watch::Sender::new(0)));
    let store = Behind { store, confirmed: broker.0.subscribe(), settled: 0.into() };
    let relay =
        Relay::new("relay-1", store, broker, RelayConfig::default().in_flight(1))?;
    let running = relay.run_until_idle(std::future::pending::<()>());
    // The settlement waits for the next send, and the relay is to wait for neither.
    let summary = tokio::time::timeout(Duration::from_secs(30), running).await?;
    assert_eq!(usize::try_from(summary.acknowledged), Ok(ALL));
    Ok(std::fs::remove_file(file)?)
}
