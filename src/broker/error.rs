//! `BrokerError`: what a broker did not do, and what that says about the event.

use std::fmt;
use std::time::Duration;

use super::Lost;
use crate::FailureClass;

/// A broker did not do what it was asked: to take an event, to deliver one, to ack or nack
/// it, or to make a queue or a stream.
///
/// ```
/// use integration_automation_patterns::broker::{BrokerError, BrokerErrorKind};
/// use std::time::Duration;
///
/// let full = BrokerError::unroutable("the queue erp is full")
///     .with_retry_after(Duration::from_secs(30));
/// assert_eq!(full.kind(), BrokerErrorKind::Unroutable);
/// assert_eq!(full.retry_after(), Some(Duration::from_secs(30)));
/// assert_eq!(
///     full.to_string(),
///     "the broker takes no event of this type: the queue erp is full"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerError {
    kind: BrokerErrorKind,
    reason: String,
    retry_after: Option<Duration>,
    loss: Option<Box<Lost>>,
}

/// What an error says about the broker, and where an event was sent, about the event: it
/// decides what becomes of that. The list is complete: a relay handles each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokerErrorKind {
    /// The broker cannot be reached, and nothing was sent. The event is released with its
    /// attempt, and the relay pauses: an outage must not turn every event into a dead
    /// letter.
    Unreachable,
    /// The broker can be reached, and takes nothing from anybody: an alarm blocks
    /// senders, the stream or exchange of all events is missing or full. Nothing was
    /// stored. The event is released with its attempt, and the relay pauses.
    Unavailable,
    /// The broker takes no event of this type, whichever it is: no queue is bound, its
    /// queue is full, its subject is not permitted, the endpoint that it goes to is gone
    /// ([`Routes`](super::Routes)). The event is released with its attempt, and the relay
    /// pauses for events of this type; one of them is tried now and then, and those of
    /// other types go on.
    Unroutable,
    /// This attempt failed, or its confirmation never came; another may succeed.
    Transient,
    /// No attempt can succeed: the event is too large, or the broker refuses it for good.
    Permanent,
}

impl BrokerError {
    /// The broker cannot be reached: [`BrokerErrorKind::Unreachable`].
    pub fn unreachable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unreachable, reason)
    }

    /// The broker takes nothing from anybody: [`BrokerErrorKind::Unavailable`].
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unavailable, reason)
    }

    /// The broker takes no event of this type: [`BrokerErrorKind::Unroutable`].
    pub fn unroutable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unroutable, reason)
    }

    /// This attempt failed: [`BrokerErrorKind::Transient`].
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Transient, reason)
    }

    /// No attempt can succeed: [`BrokerErrorKind::Permanent`].
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Permanent, reason)
    }

    /// Events were deleted before they were read, and what can be done about it:
    /// [`BrokerErrorKind::Permanent`]. The consumer goes on behind them.
    pub fn lost(lost: Lost, advice: &str) -> Self {
        let error = Self::permanent(format!("{lost}; {advice}"));
        Self { loss: Some(Box::new(lost)), ..error }
    }

    pub(super) fn new(kind: BrokerErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), retry_after: None, loss: None }
    }

    /// Says how long the broker has asked to wait: a pause lasts at least as long, and so
    /// does the wait of an event whose attempt has failed.
    #[must_use = "this returns the changed error; the original is consumed"]
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// What it says about event and place.
    pub const fn kind(&self) -> BrokerErrorKind {
        self.kind
    }

    /// How long the broker has asked to wait, where it has.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What was deleted before it was read, where that is the error.
    pub fn loss(&self) -> Option<&Lost> {
        self.loss.as_deref()
    }

    /// The class of failure that the attempt ends in; nothing where it is not counted.
    pub const fn class(&self) -> Option<FailureClass> {
        match self.kind {
            BrokerErrorKind::Unreachable
            | BrokerErrorKind::Unavailable
            | BrokerErrorKind::Unroutable => None,
            BrokerErrorKind::Transient => Some(FailureClass::Transient),
            BrokerErrorKind::Permanent => Some(FailureClass::Permanent),
        }
    }

    /// What went wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BrokerErrorKind::Unreachable => "cannot reach the broker",
            BrokerErrorKind::Unavailable => "the broker cannot take any event now",
            BrokerErrorKind::Unroutable => "the broker takes no event of this type",
            BrokerErrorKind::Transient => "the broker failed",
            BrokerErrorKind::Permanent => "the broker refused",
        };
        write!(f, "{what}: {}", self.reason)
    }
}

impl std::error::Error for BrokerError {}
