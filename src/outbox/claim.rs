//! A claimed event and its settlement: each step consumes the one before, so that nothing
//! is settled twice.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::audit::Action;
use crate::state::Dispatched;
use crate::store::storable;
use crate::{AnyEnvelope, DeliveryStatus, Envelope, EventId, FailureClass};

/// The fencing token of one claim.
pub(crate) type Token = Uuid;

/// Which row is held, under which token, since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) sequence: i64,
    pub(crate) token: Token,
    /// The moment of the claim by the database's clock, and by this process's own
    /// monotonic one.
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) since: Instant,
}

impl Lease {
    /// The database's time now, as this process estimates it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.since.elapsed()).unwrap_or(TimeDelta::MAX);
        self.claimed_at.checked_add_signed(elapsed).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// A lease that a relay still holds, to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub(crate) lease: Lease,
    pub(crate) event: EventId,
}

/// An event that this relay, and no other, may send while its lease lasts.
///
/// The attempt is counted and stored already. Each way to end it consumes the claim and
/// gives the [`Settlement`] to store.
#[doc(alias = "fencing token")]
#[derive(Debug)]
#[must_use = "a claimed event waits for its settlement until the lease ends"]
pub struct Claim {
    event: Envelope<Dispatched>,
    lease: Lease,
}

impl Claim {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn new(event: Envelope<Dispatched>, lease: Lease) -> Self {
        Self { event, lease }
    }

    /// The event to send.
    pub const fn event(&self) -> &Envelope<Dispatched> {
        &self.event
    }

    /// When the claim was made, by the database's clock.
    pub const fn claimed_at(&self) -> DateTime<Utc> {
        self.lease.claimed_at
    }

    /// The lease, to be renewed while the send goes on.
    pub fn lease(&self) -> HeldLease {
        HeldLease { lease: self.lease, event: self.event.id().clone() }
    }

    /// The broker has confirmed that it holds the event.
    pub fn acknowledge(self) -> Settlement {
        self.settled(|event, _| event.acknowledge())
    }

    /// The send failed, and another might succeed.
    pub fn fail(self, reason: impl Into<String>) -> Settlement {
        self.settled(|event, at| event.fail_at(storable(reason), at))
    }

    /// The send failed, and no other can succeed.
    pub fn reject(self, reason: impl Into<String>) -> Settlement {
        self.settled(|event, at| event.reject_at(storable(reason), at))
    }

    /// The event is skipped on purpose.
    pub fn skip(self, reason: impl Into<String>) -> Settlement {
        self.settled(|event, _| event.skip(storable(reason)))
    }

    /// Nothing was sent: the event goes back to where it was, and the attempt does not
    /// count.
    pub fn release(self, reason: impl Into<String>) -> Settlement {
        Settlement {
            after: After::Released(self.event.into(), storable(reason)),
            lease: self.lease,
            wait: Duration::ZERO,
        }
    }

    fn settled<E: Into<AnyEnvelope>>(
        self,
        step: impl FnOnce(Envelope<Dispatched>, DateTime<Utc>) -> E,
    ) -> Settlement {
        let event = step(self.event, self.lease.now());
        Settlement {
            after: After::Step(event.into()),
            lease: self.lease,
            wait: Duration::ZERO,
        }
    }
}

impl Deref for Claim {
    type Target = Envelope<Dispatched>;

    fn deref(&self) -> &Self::Target {
        &self.event
    }
}

/// What became of a claimed event, to be stored by
/// [`Store::settle`](super::Store::settle).
#[derive(Debug)]
#[must_use = "what became of the event is not stored yet: hand it to the store's `settle`"]
pub struct Settlement {
    pub(crate) after: After,
    pub(crate) lease: Lease,
    wait: Duration,
}

#[derive(Debug)]
pub(crate) enum After {
    Step(AnyEnvelope),
    Released(AnyEnvelope, String),
}

impl Settlement {
    /// Delays the next attempt of a failed event by at least `wait`, and at most a year,
    /// whatever its policy says: the broker has asked for it.
    #[must_use = "this returns the changed settlement; the original is consumed"]
    pub fn wait_at_least(self, wait: Duration) -> Self {
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        Self { wait: wait.min(LONGEST), ..self }
    }

    /// When the next attempt may begin; `None` if there is no next attempt.
    pub(crate) fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        let AnyEnvelope::Retrying(event) = self.event() else { return None };
        let wait = TimeDelta::from_std(self.wait).unwrap_or(TimeDelta::MAX);
        let asked =
            self.at().checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Some(event.next_attempt_at().max(asked))
    }

    /// The event once it is settled; a released one as it was claimed.
    pub const fn event(&self) -> &AnyEnvelope {
        match &self.after {
            After::Step(event) | After::Released(event, _) => event,
        }
    }

    /// Why the event was not sent; `None` if it was.
    pub fn released(&self) -> Option<&str> {
        match &self.after {
            After::Released(_, reason) => Some(reason),
            After::Step(_) => None,
        }
    }

    /// What is settled with it.
    pub fn action(&self) -> Action {
        let class = || self.event().failure().map(|failure| failure.class);
        match (&self.after, self.event().status()) {
            (After::Released(..), _) => Action::Release,
            (After::Step(_), DeliveryStatus::Retrying) => Action::Fail,
            (After::Step(_), DeliveryStatus::Failed)
                if class() == Some(FailureClass::Transient) =>
            {
                Action::Fail
            }
            (After::Step(_), DeliveryStatus::Failed) => Action::Reject,
            (After::Step(_), DeliveryStatus::Skipped) => Action::Skip,
            (After::Step(_), _) => Action::Acknowledge,
        }
    }

    /// The state of the event once it is stored.
    pub fn status(&self) -> DeliveryStatus {
        match &self.after {
            After::Released(event, _) if event.attempts() <= 1 => DeliveryStatus::Pending,
            After::Released(..) => DeliveryStatus::Retrying,
            After::Step(event) => event.status(),
        }
    }

    /// When it happened, by this process's estimate of the database's clock.
    pub(crate) fn at(&self) -> DateTime<Utc> {
        match (&self.after, self.event().failure()) {
            (After::Step(event), Some(failure))
                if event.status() != DeliveryStatus::Acknowledged =>
            {
                failure.at
            }
            _ => self.lease.now(),
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn lost(&self) -> LeaseLostError {
        LeaseLostError { event: self.event().id().clone() }
    }
}

/// The lease of a claim has ended, or another relay holds the event now: nothing was
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseLostError {
    /// The event.
    pub event: EventId,
}

impl fmt::Display for LeaseLostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the lease on {} has ended, and nothing was stored: the event is sent again, \
             and its receiver knows the id (the send or the database took longer than the \
             lease; if this happens often, set a longer `RelayConfig::lease`)",
            self.event
        )
    }
}

impl std::error::Error for LeaseLostError {}
