//! The end of a send: what it means for its event, and for the broker.

use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::timeout_at;

use super::Run;
use crate::broker::{Broker, BrokerError, BrokerErrorKind};
use crate::outbox::{Claim, Store};
use crate::relay::Incident;
use crate::relay::outage::OutageKind;
use crate::relay::outcome::Outcome;
use crate::sleep::after;

/// How long a run waits for more sends to end before it settles those that have.
const TOGETHER: Duration = Duration::from_millis(1);

impl<S: Store, B: Broker> Run<'_, S, B> {
    /// Gathers the sends that end within a moment of the first, up to half of those that
    /// may be on their way, to settle them together. So the run settles and claims one
    /// half while the broker receives the other.
    pub(super) async fn gather(&mut self) {
        let (until, half) = (after(TOGETHER), self.relay.config.in_flight.div_ceil(2));
        while self.unsettled.len() < half
            && let Ok(Some(ended)) =
                timeout_at(until, self.sends.join_next_with_id()).await
        {
            self.ended(ended);
        }
    }

    pub(super) fn ended(&mut self, ended: Result<(Id, (Claim, Outcome)), JoinError>) {
        let (id, (claim, outcome)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let held = self.held.remove(&error.id());
                self.probe_ended(error.id());
                if error.is_panic() {
                    self.count(|summary| &mut summary.panicked, 1);
                    self.relay.report(&Incident::SendPanicked(
                        held.map(|held| held.lease.event),
                    ));
                }
                return;
            }
        };
        let claim_number = self.held.remove(&id).map_or(self.claims, |held| held.claim);
        self.probe_ended(id);
        // The next of its key may be due now.
        self.hungry |= claim.ordering_key().is_some();
        self.watch(claim_number, &claim, &outcome);
        self.unsettled.push(outcome.settle(claim, self.relay.config.send_timeout));
    }

    /// The next try may begin, whatever the outcome of this one.
    pub(super) fn probe_ended(&mut self, id: Id) {
        for probe in self
            .refused
            .values_mut()
            .map(|(_, probe)| probe)
            .chain([&mut self.broker_probe])
        {
            *probe = probe.filter(|probe| *probe != id);
        }
    }

    /// Notes what an outcome shows of the broker: whether it takes any event, and whether
    /// it takes this type.
    pub(super) fn watch(&mut self, number: u64, claim: &Claim, outcome: &Outcome) {
        let event_type = claim.event().event_type();
        let error = match outcome {
            Outcome::Answered(answer) => answer.as_ref().err(),
            Outcome::TimedOut => {
                // Nobody knows, unless it was to show whether the broker takes anything.
                if let Some((watch, _)) = self
                    .refused
                    .get_mut(event_type)
                    .filter(|(watch, _)| watch.pause.is_on())
                {
                    let kind = OutageKind::Unroutable(event_type.to_owned());
                    let outage = watch.failed(number, kind, "no answer in time", None);
                    outage
                        .into_iter()
                        .for_each(|outage| self.relay.report(&Incident::Outage(outage)));
                }
                return;
            }
            Outcome::Cancelled => return,
        };
        let broken = match error.map(BrokerError::kind) {
            Some(BrokerErrorKind::Unreachable) => Some(OutageKind::Unreachable),
            Some(BrokerErrorKind::Unavailable) => Some(OutageKind::Unavailable),
            Some(BrokerErrorKind::Unroutable) => {
                Some(OutageKind::Unroutable(event_type.to_owned()))
            }
            Some(BrokerErrorKind::Transient | BrokerErrorKind::Permanent) | None => None,
        };
        let by_type = matches!(broken, Some(OutageKind::Unroutable(_)));
        if let (Some(kind), Some(error)) = (broken, error) {
            let watch = if by_type {
                &mut self.refused.entry(event_type.to_owned()).or_default().0
            } else {
                &mut self.broker
            };
            let outage = watch.failed(number, kind, error.reason(), error.retry_after());
            outage
                .into_iter()
                .for_each(|outage| self.relay.report(&Incident::Outage(outage)));
            if !by_type {
                return;
            }
        } else if let Some((watch, _)) = self.refused.get_mut(event_type) {
            // It has looked at this event, and so takes its type.
            if let Some(outage) = watch.over(number) {
                self.refused.remove(event_type);
                self.relay.report(&Incident::Recovered(outage));
            }
        }
        if let Some(outage) = self.broker.over(number) {
            self.relay.report(&Incident::Recovered(outage));
        }
    }
}
