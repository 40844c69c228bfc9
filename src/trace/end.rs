//! `End`: how an operation on an event ended, and the word that its span has for it.

use crate::FailureClass;
use crate::broker::BrokerErrorKind;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Enqueued, or received: it is the first of its event.
    New,
    /// Enqueued, or received: its event was there before.
    Duplicate,
    /// Received: it was forestalled, and has no effect.
    Forestalled,
    /// Sent: the broker has it.
    Confirmed,
    /// Received: another consumer is to process it.
    RetryLater,
    /// Processed: its effect is committed.
    Processed,
    /// Received: it is a dead letter.
    DeadLettered,
    /// Not sent: the broker could not be reached.
    Unreachable,
    /// Not sent: the broker stores nothing just now.
    Unavailable,
    /// Not sent: the broker has no place for it.
    Unroutable,
    /// Sent, and not confirmed in time.
    TimedOut,
    /// Not sent: the relay stopped.
    Stopped,
    /// Failed: another attempt may succeed.
    Transient,
    /// Failed: no attempt will succeed.
    Permanent,
    /// Nobody said how it ended.
    #[cfg(feature = "tracing")]
    Unfinished,
}

#[cfg(feature = "tracing")]
impl End {
    /// The outcome, or the type of the error, in the span.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Duplicate => "duplicate",
            Self::Forestalled => "forestalled",
            Self::Confirmed => "confirmed",
            Self::RetryLater => "retry_later",
            Self::Processed => "processed",
            Self::DeadLettered => "dead_lettered",
            Self::Unreachable => "unreachable",
            Self::Unavailable => "unavailable",
            Self::Unroutable => "unroutable",
            Self::TimedOut => "timed_out",
            Self::Stopped => "stopped",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Unfinished => "unfinished",
        }
    }

    /// Whether the operation failed.
    pub(super) const fn is_error(self) -> bool {
        match self {
            Self::New
            | Self::Duplicate
            | Self::Forestalled
            | Self::Confirmed
            | Self::RetryLater
            | Self::Processed => false,
            Self::DeadLettered
            | Self::Unreachable
            | Self::Unavailable
            | Self::Unroutable
            | Self::TimedOut
            | Self::Stopped
            | Self::Transient
            | Self::Permanent
            | Self::Unfinished => true,
        }
    }
}

impl From<FailureClass> for End {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Transient => Self::Transient,
            FailureClass::Permanent => Self::Permanent,
        }
    }
}

impl From<BrokerErrorKind> for End {
    fn from(kind: BrokerErrorKind) -> Self {
        match kind {
            BrokerErrorKind::Unreachable => Self::Unreachable,
            BrokerErrorKind::Unavailable => Self::Unavailable,
            BrokerErrorKind::Unroutable => Self::Unroutable,
            BrokerErrorKind::Transient => Self::Transient,
            BrokerErrorKind::Permanent => Self::Permanent,
        }
    }
}
