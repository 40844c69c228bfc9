//! `Reply`: reports the end of a delivery to its span and to the audit trail, and yields
//! what acks it. Nothing else does so.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Committed, Receipt, RetryLater};
use crate::audit::{Action, AuditTrail};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::broker::{Delivery, as_sent};
use crate::state::Acknowledged;
use crate::trace::{End, EventSpan};
use crate::{AnyEnvelope, DeliveryStatus, Envelope, Facts, FailureClass, RawEvent};

/// A delivery of which nothing is left to store.
#[derive(Debug)]
pub(crate) enum Done {
    /// Its event was dealt with before.
    Duplicate(Envelope<Acknowledged>),
    /// Its event was forestalled.
    Forestalled(Envelope<Acknowledged>),
    /// The inbox refuses its event, and did so before.
    DeadLetter,
    /// Another consumer knows its kind: it comes again after this wait.
    RetryLater(Envelope<Acknowledged>, Duration),
}

/// The reply to one delivery. Each end yields what acks it.
pub(crate) struct Reply<A> {
    acker: A,
    span: EventSpan,
    trail: AuditTrail,
    is_redelivered: bool,
    is_buried: bool,
}

impl<A> Reply<A> {
    pub(super) const fn new(acker: A, span: EventSpan, trail: AuditTrail) -> Self {
        Self { acker, span, trail, is_redelivered: false, is_buried: false }
    }

    /// Whether the delivery may be a redelivery.
    pub(super) fn redelivered(self, is_redelivered: bool) -> Self {
        Self { is_redelivered, ..self }
    }

    /// Whether another consumer has made a dead letter of the event, and counted it: its
    /// failure is then no other one.
    pub(super) fn buried(self, is_buried: bool) -> Self {
        Self { is_buried, ..self }
    }

    pub(super) const fn is_buried(&self) -> bool {
        self.is_buried
    }

    /// The reply while the handler of the event runs.
    pub(super) fn handling(self, event: &Facts<RawEvent>) -> Self {
        Self { span: self.span.process(event), ..self }
    }

    /// The delivery again, where nothing came of it.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(super) fn into_delivery(self, event: &Facts<RawEvent>) -> Option<Delivery<A>> {
        let delivery = Delivery::new(as_sent(event).ok()?, self.acker);
        Some(delivery.redelivered(self.is_redelivered))
    }

    pub(super) const fn span(&self) -> &EventSpan {
        &self.span
    }

    /// Nothing is stored.
    pub(crate) fn done<Tx>(self, done: Done) -> Receipt<Tx, A> {
        match done {
            Done::Duplicate(event) => {
                Receipt::Duplicate(self.duplicate(&event, Utc::now()))
            }
            Done::Forestalled(event) => {
                Receipt::Forestalled(self.forestalled(&event, Utc::now()))
            }
            Done::DeadLetter => {
                self.span.end(End::DeadLettered);
                Receipt::DeadLettered(Committed::new(self.acker))
            }
            Done::RetryLater(event, wait) => Receipt::RetryLater(self.left(&event, wait)),
        }
    }

    /// The event is left to its broker for a while.
    pub(crate) fn left(
        self,
        event: &Envelope<Acknowledged>,
        wait: Duration,
    ) -> RetryLater<A> {
        RetryLater::new(self.untouched(event), wait)
    }

    /// The event was dealt with before.
    pub(super) fn duplicate(
        self,
        event: &Facts<RawEvent>,
        at: DateTime<Utc>,
    ) -> Committed<A> {
        self.span.end(End::Duplicate);
        self.trail.record(Action::Duplicate, event, DeliveryStatus::Acknowledged, at);
        Committed::new(self.acker)
    }

    /// The event is to have no effect any more.
    fn forestalled(self, event: &Facts<RawEvent>, at: DateTime<Utc>) -> Committed<A> {
        self.span.end(End::Forestalled);
        self.trail.record(Action::Skip, event, DeliveryStatus::Skipped, at);
        Committed::new(self.acker)
    }

    /// The inbox holds the event: nothing was done with it yet.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn held(self, event: &Envelope<Acknowledged>) -> Committed<A> {
        Committed::new(self.untouched(event))
    }

    /// Nothing was done with the event.
    fn untouched(self, event: &Envelope<Acknowledged>) -> A {
        self.span.end(End::RetryLater);
        self.trail.record(Action::Release, event, event.status(), Utc::now());
        self.acker
    }

    /// The effect is committed.
    pub(crate) fn processed(self, event: Envelope<Acknowledged>) -> Committed<A> {
        self.span.end(End::Processed);
        let event = event.process();
        redrive(&self.trail, &event);
        self.trail.record(Action::Process, &event, event.status(), Utc::now());
        Committed::new(self.acker)
    }

    /// The failure is stored.
    pub(super) fn failed(self, event: &AnyEnvelope, at: DateTime<Utc>, end: End) -> A {
        self.span.end(end);
        redrive(&self.trail, event);
        let class = event.failure().map(|failure| failure.class);
        let action = if class == Some(FailureClass::Permanent) {
            Action::Reject
        } else {
            Action::Fail
        };
        self.trail.record(action, event, event.status(), at);
        self.acker
    }
}

/// Records a redrive, once what came of it is stored.
fn redrive(trail: &AuditTrail, event: &Facts<RawEvent>) {
    if let Some(decision) = event.redriven().filter(|_| event.attempts() <= 1) {
        trail.record(Action::Redrive, event, DeliveryStatus::Pending, decision.at());
    }
}
