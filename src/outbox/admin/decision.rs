//! What a person's decision makes of a dead letter, and what is stored of it.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::change::Entry;
use super::{Redrive, RedriveError, RedriveOutcome};
use crate::audit::{Action, AuditTrail};
use crate::state::Failed;
use crate::{AnyEnvelope, Decision, Envelope, EventId};

/// What a decision makes of one dead letter, with the answer about it.
#[derive(Debug)]
pub(crate) enum Ruling<T> {
    /// It is this now.
    Changed(AnyEnvelope, T),
    /// It stays a dead letter.
    Kept(T),
}

/// When a dead letter was first sent, and when a person decides about it, both by the
/// database's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) first_sent_at: Option<DateTime<Utc>>,
    pub(crate) now: DateTime<Utc>,
}

impl Redrive {
    /// What a dead letter becomes by this order.
    pub(crate) fn decide(
        &self,
        event: Envelope<Failed>,
        times: Times,
    ) -> Ruling<(EventId, RedriveOutcome)> {
        let id = event.id().clone();
        match self.admits(&event, times) {
            Ok(()) => Ruling::Changed(
                event.redrive(self.decision.clone()).into(),
                (id, RedriveOutcome::Redriven),
            ),
            Err(refused) => Ruling::Kept((id, RedriveOutcome::Refused(refused))),
        }
    }

    /// Whether this event may be sent again, now.
    fn admits(&self, event: &Envelope<Failed>, times: Times) -> Result<(), RedriveError> {
        let Some(first_sent_at) = times.first_sent_at.filter(|_| !self.force) else {
            return Ok(());
        };
        let horizon = event.retry_policy().horizon();
        let span = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let last_send = times.now.checked_add_signed(span(horizon));
        let forgotten_at = first_sent_at.checked_add_signed(span(self.dedup_window));
        match (last_send, forgotten_at) {
            (_, None) => Ok(()),
            (Some(last_send), Some(forgotten_at)) if last_send < forgotten_at => Ok(()),
            _ => Err(RedriveError {
                first_sent_at,
                horizon,
                dedup_window: self.dedup_window,
            }),
        }
    }
}

/// Discards a dead letter.
pub(crate) fn discard(event: Envelope<Failed>, decision: &Decision) -> Ruling<EventId> {
    let id = event.id().clone();
    Ruling::Changed(event.discard(decision.clone()).into(), id)
}

/// What a person decided about a dead letter, as the event says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decided<'a> {
    pub(crate) action: Action,
    pub(crate) redriven: Option<&'a Decision>,
    pub(crate) discarded: Option<&'a Decision>,
}

impl<'a> Decided<'a> {
    /// Records decisions that are stored.
    pub(crate) fn record(trail: &AuditTrail, events: &[AnyEnvelope]) {
        for event in events {
            let decided = Decided::of(event);
            if let Some(decision) = decided.redriven.or(decided.discarded) {
                trail.record(decided.action, event, event.status(), decision.at());
            }
        }
    }

    pub(crate) fn of(event: &'a AnyEnvelope) -> Self {
        match event {
            AnyEnvelope::Pending(event) => Self {
                action: Action::Redrive,
                redriven: event.redriven(),
                discarded: None,
            },
            other => Self {
                action: Action::Discard,
                redriven: None,
                discarded: other.discarded(),
            },
        }
    }

    /// The decision, and the entry of the history for it.
    pub(crate) fn history(&self) -> Option<(&'a Decision, Entry)> {
        let decision = self.redriven.or(self.discarded)?;
        let (reason, by) = (decision.reason().to_owned(), Some(decision.by().to_owned()));
        Some((decision, Entry { action: self.action, reason, by }))
    }
}
