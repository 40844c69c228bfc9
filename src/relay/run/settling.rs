//! Settlements and leases: the second half of a relay's run.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Run;
use crate::AnyEnvelope;
use crate::broker::Broker;
use crate::outbox::{HeldLease, LeaseLostError, Settlement, Store, StoreError};
use crate::relay::{Incident, Summary};

const SETTLING: &str = "settling events";

/// How much later an event may be due by the database's clock than by this process's
/// estimate.
const CLOCKS_DIFFER: Duration = Duration::from_millis(5);

impl<S: Store, B: Broker> Run<'_, S, B> {
    /// Claims first, so that the new sends are on their way while the settlement is
    /// written.
    pub(super) async fn settle_and_claim(&mut self) {
        let (batch, order, relay) =
            (std::mem::take(&mut self.unsettled), self.order(), self.relay);
        let time = relay.config.store_timeout;
        let claim = async {
            let claimed = timeout(time, relay.store.claim(&order)).await;
            self.claimed(claimed.ok(), order.limit);
        };
        let ((), settled) =
            tokio::join!(biased; claim, timeout(time, relay.store.settle(&batch)));
        self.settled(batch, settled.ok());
    }

    /// Settles the sends that have ended. After a failure it waits until the pause is
    /// over, unless `anyhow`.
    pub(super) async fn settle(&mut self, now: Instant, anyhow: bool) {
        let pauses =
            self.store.get(SETTLING).is_some_and(|watch| watch.pause.ends(now).is_some());
        if self.unsettled.is_empty() || pauses && !anyhow {
            return;
        }
        let batch = std::mem::take(&mut self.unsettled);
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.settle(&batch))
                .await;
        self.settled(batch, answer.ok());
    }

    pub(super) fn settled(
        &mut self,
        batch: Vec<Settlement>,
        answer: Option<Result<Vec<LeaseLostError>, StoreError>>,
    ) {
        let Some(lost) = self.answer(answer, SETTLING) else {
            self.unsettled = batch;
            return;
        };
        for settlement in batch {
            if lost.iter().any(|lost| lost.event == *settlement.event().id()) {
                continue;
            }
            let counter: fn(&mut Summary) -> &mut u64 = match settlement.event() {
                _ if settlement.released().is_some() => |summary| &mut summary.released,
                AnyEnvelope::Retrying(_) => {
                    let due =
                        settlement.next_attempt_at().unwrap_or_else(|| settlement.at());
                    let wait = due
                        .signed_duration_since(settlement.at())
                        .to_std()
                        .unwrap_or_default();
                    let due =
                        Instant::now().checked_add(wait.saturating_add(CLOCKS_DIFFER));
                    self.retries.extend(due.map(Reverse));
                    |summary| &mut summary.retrying
                }
                AnyEnvelope::Failed(_) => |summary| &mut summary.failed,
                _ => |summary| &mut summary.acknowledged,
            };
            self.count(counter, 1);
            let (action, at) = (settlement.action(), settlement.at());
            self.relay.trail.record(action, settlement.event(), settlement.status(), at);
            // What was released is due when the pause is over.
            self.hungry |= settlement.released().is_some();
        }
        self.lose(lost);
    }

    pub(super) async fn renew(&mut self) {
        let config = &self.relay.config;
        let held: Vec<HeldLease> =
            self.held.values().map(|held| held.lease.clone()).collect();
        let answer =
            timeout(config.store_timeout, self.relay.store.renew(&held, config.lease))
                .await;
        let Some(lost) = self.answer(answer.ok(), "renewing leases") else { return };
        for held in self.held.values() {
            if lost.iter().any(|lost| lost.event == held.lease.event) {
                held.send.abort();
            }
        }
        self.lose(lost);
    }

    pub(super) fn lose(&mut self, lost: Vec<LeaseLostError>) {
        for lost in lost {
            self.count(|summary| &mut summary.leases_lost, 1);
            self.relay.report(&Incident::LeaseLost(lost));
        }
    }
}
