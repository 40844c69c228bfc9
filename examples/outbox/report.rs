//! What came of a command, before it is written as text or as JSON.

use integration_automation_patterns::broker::Lag;
use integration_automation_patterns::inbox::{
    self, Held, Remembered, Stalled, Unreadable,
};
use integration_automation_patterns::outbox::{
    Counts, DeadLetter, Finding, HistoryEntry, RedriveOutcome, Waiting,
};
use integration_automation_patterns::{AnyEnvelope, EventId};

pub(crate) enum Report {
    Counts(Counts),
    /// With how far the consumer is behind, where that was asked.
    InboxCounts {
        counts: inbox::Counts,
        lag: Option<Result<Vec<Lag>, String>>,
    },
    /// Dead letters, and those that are no valid event.
    Dead {
        letters: Vec<DeadLetter>,
        unreadable: Vec<Torn>,
        more: bool,
    },
    Waiting {
        events: Vec<Waiting>,
        more: bool,
    },
    /// What an inbox has waited for too long.
    Stalled {
        events: Vec<Stalled>,
        more: bool,
    },
    /// What an inbox holds, and its worker handles.
    Held {
        events: Vec<Held>,
        more: bool,
    },
    /// One event, with all that happened to it; an inbox keeps no moments.
    Event {
        event: Box<AnyEnvelope>,
        moments: Vec<HistoryEntry>,
        with_payload: bool,
    },
    /// One event that an inbox is done with, of which it keeps no more.
    Remembered {
        id: EventId,
        remembered: Box<Remembered>,
    },
    /// There is no event, or no dead letter, of this id.
    NoneSuch {
        id: EventId,
        wanted: &'static str,
    },
    Decided {
        decided: Vec<(EventId, Outcome)>,
        unreadable: Vec<Torn>,
    },
    Purged(u64),
    Verified(Vec<Finding>),
    Migrated(Vec<Migrated>),
}

/// The tables of one part, before and after they were brought up to date.
pub(crate) struct Migrated {
    pub(crate) part: String,
    pub(crate) found: i64,
    pub(crate) now: i64,
}

/// A row that is no valid event.
pub(crate) struct Torn {
    pub(crate) id: String,
    pub(crate) why: String,
}

impl From<Finding> for Torn {
    fn from(Finding { event, what, .. }: Finding) -> Self {
        Self { id: event, why: what }
    }
}

impl From<Unreadable> for Torn {
    fn from(Unreadable { source_system, id, reason, .. }: Unreadable) -> Self {
        Self { id, why: format!("from {source_system}: {reason}") }
    }
}

/// What a decision did to one dead letter.
pub(crate) enum Outcome {
    Redrive(RedriveOutcome),
    Discarded,
}

impl Outcome {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Redrive(RedriveOutcome::Redriven) => "redriven",
            Self::Redrive(RedriveOutcome::Refused(_)) => "refused",
            Self::Discarded => "discarded",
        }
    }

    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Redrive(RedriveOutcome::Refused(refused)) => Some(refused.to_string()),
            _ => None,
        }
    }
}

impl Report {
    /// Whether something is left that this program cannot settle. A list of what has
    /// failed is in order as a list.
    pub(crate) fn needs_a_person(&self) -> bool {
        match self {
            Self::Counts(_) | Self::Purged(_) | Self::Remembered { .. } => false,
            Self::InboxCounts { lag, .. } => matches!(lag, Some(Err(_))),
            Self::Waiting { .. } | Self::Stalled { .. } | Self::Held { .. } => false,
            Self::Event { .. } | Self::Migrated(_) => false,
            Self::Dead { unreadable, .. } => !unreadable.is_empty(),
            Self::NoneSuch { .. } => true,
            Self::Decided { decided, unreadable } => {
                !unreadable.is_empty()
                    || decided.iter().any(|(_, outcome)| outcome.why().is_some())
            }
            Self::Verified(findings) => !findings.is_empty(),
        }
    }

    /// What is to be said beside the output.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Dead { letters, more: true, .. } => Some(cut(letters.len())),
            Self::Waiting { events, more: true } => Some(cut(events.len())),
            Self::Stalled { events, more: true } => Some(cut(events.len())),
            Self::Held { events, more: true } => Some(cut(events.len())),
            Self::InboxCounts { lag: Some(Err(unknown)), .. } => Some(unknown.clone()),
            Self::NoneSuch { id, wanted } => Some(format!("there is no {wanted} {id}")),
            _ => None,
        }
    }
}

fn cut(shown: usize) -> String {
    format!("the first {shown} are shown, and there are more: --limit shows them")
}
