//! Claims and sends: the first half of a relay's run.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::task::Id;
use tokio::time::{Instant, timeout};

use super::{Held, Run};
use crate::DeliveryStatus;
use crate::audit::Action;
use crate::broker::Broker;
use crate::crash_point::crash_point;
use crate::outbox::{Claim, ClaimOrder, Claimed, Store, StoreError};
use crate::relay::Incident;
use crate::relay::outcome::Outcome;
use crate::trace::EventSpan;

/// How long a run waits for more sends to end before it claims less than a batch.
const BATCH_WAIT: Duration = Duration::from_millis(50);

const CLAIMING: &str = "claiming due events";

impl<S: Store, B: Broker> Run<'_, S, B> {
    pub(super) fn order(&self) -> ClaimOrder {
        let config = &self.relay.config;
        ClaimOrder {
            worker: self.relay.name.clone(),
            limit: if self.broker.pause.is_on() { 1 } else { self.room() },
            lease: config.lease,
            on_dead_letter: config.on_dead_letter,
            except: self.refused_types(),
            only: None,
        }
    }

    /// The event types that a claim leaves alone: all that the broker does not take for
    /// now, those included that a single send tries.
    pub(super) fn refused_types(&self) -> Vec<String> {
        let refused = self.refused.iter().filter(|(_, (watch, _))| watch.pause.is_on());
        refused.map(|(event_type, _)| event_type.clone()).collect()
    }

    pub(super) async fn claim(&mut self) {
        let order = self.order();
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.claim(&order))
                .await;
        let probes = self.broker.pause.is_on();
        let began = self.claimed(answer.ok(), order.limit);
        if probes {
            self.broker_probe = began;
        }
    }

    /// Sends one event of a type, if there is one, to find out whether the broker takes
    /// the type again.
    pub(super) async fn try_type(&mut self, event_type: String) {
        let hungry = self.hungry;
        let order = ClaimOrder {
            limit: 1,
            except: Vec::new(),
            only: Some(event_type.clone()),
            ..self.order()
        };
        let answer =
            timeout(self.relay.config.store_timeout, self.relay.store.claim(&order))
                .await;
        let began = self.claimed(answer.ok(), order.limit);
        self.hungry = hungry;
        if let Some((watch, probe)) = self.refused.get_mut(&event_type) {
            *probe = began;
            if began.is_none() {
                watch.pause.again();
            }
        }
    }

    /// Sends the claimed events, and returns the last of its sends.
    pub(super) fn claimed(
        &mut self,
        answer: Option<Result<Claimed, StoreError>>,
        limit: usize,
    ) -> Option<Id> {
        let claimed = self.answer(answer, CLAIMING)?;
        let taken = claimed.claims.len().saturating_add(claimed.quarantined.len());
        // What was expired may be due at once; what was quarantined or put aside may have
        // stood before others.
        self.hungry = taken >= limit
            || !claimed.expired.is_empty()
            || !claimed.quarantined.is_empty()
            || claimed.blocked > 0;
        let dead = claimed
            .expired
            .iter()
            .filter(|event| event.status() == DeliveryStatus::Failed)
            .count();
        self.count(
            |summary| &mut summary.failed,
            dead.saturating_add(claimed.quarantined.len()),
        );
        self.count(|summary| &mut summary.expired, claimed.expired.len());
        for finding in claimed.quarantined {
            self.relay.report(&Incident::Quarantined(finding));
        }
        for event in &claimed.expired {
            let at = event.failure().map_or_else(Utc::now, |failure| failure.at);
            self.relay.trail.record(Action::Expire, event, event.status(), at);
        }
        if !claimed.claims.is_empty() {
            self.claims = self.claims.saturating_add(1);
            self.claims_anyhow_at = Instant::now().checked_add(BATCH_WAIT);
        }
        let mut last = None;
        for claim in claimed.claims {
            self.relay.trail.record(
                Action::Dispatch,
                &claim,
                DeliveryStatus::Dispatched,
                claim.claimed_at(),
            );
            self.count(|summary| &mut summary.claimed, 1);
            last = Some(self.send(claim));
        }
        last
    }

    pub(super) fn send(&mut self, claim: Claim) -> Id {
        let (broker, time) =
            (Arc::clone(&self.relay.broker), self.relay.config.send_timeout);
        let mut cancelled = self.cancel.subscribe();
        let lease = claim.lease();
        let span = EventSpan::send(&claim, &*broker, &self.relay.name);
        let send = self.sends.spawn(async move {
            let attempt = async {
                tokio::select! {
                    answer = timeout(time, broker.send(claim.event())) => {
                        answer.map_or(Outcome::TimedOut, Outcome::Answered)
                    }
                    _ = cancelled.wait_for(|cancelled| *cancelled) => Outcome::Cancelled,
                }
            };
            let outcome = span.instrument(attempt).await;
            crash_point("after the broker's answer");
            span.end(outcome.end());
            (claim, outcome)
        });
        let id = send.id();
        self.held.insert(id, Held { lease, send, claim: self.claims });
        id
    }
}
