//! The outcome of a send, and the settlement that follows from it.

use std::time::Duration;

use crate::broker::{BrokerError, BrokerErrorKind};
use crate::outbox::{Claim, Settlement};
use crate::trace::End;

pub(super) enum Outcome {
    Answered(Result<(), BrokerError>),
    TimedOut,
    Cancelled,
}

impl Outcome {
    /// The outcome in the words of the send's span.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Answered(Ok(())) => End::Confirmed,
            Self::Answered(Err(error)) => error.kind().into(),
            Self::TimedOut => End::TimedOut,
            Self::Cancelled => End::Stopped,
        }
    }

    /// The settlement of the claimed event, whose send had this much time.
    pub(super) fn settle(self, claim: Claim, time: Duration) -> Settlement {
        match self {
            Self::Answered(Ok(())) => claim.acknowledge(),
            Self::Answered(Err(error)) => match error.kind() {
                BrokerErrorKind::Unreachable
                | BrokerErrorKind::Unavailable
                | BrokerErrorKind::Unroutable => claim.release(error.reason()),
                BrokerErrorKind::Transient => claim
                    .fail(error.reason())
                    .wait_at_least(error.retry_after().unwrap_or_default()),
                BrokerErrorKind::Permanent => claim.reject(error.reason()),
            },
            Self::TimedOut => {
                claim.fail(format!("the broker did not confirm within {time:?}"))
            }
            Self::Cancelled => claim.release("the relay was stopped"),
        }
    }
}
