//! What came of one send, and what that makes of its event.

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
    /// As the span of the send says it.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Answered(Ok(())) => End::Confirmed,
            Self::Answered(Err(error)) => error.kind().into(),
            Self::TimedOut => End::TimedOut,
            Self::Cancelled => End::Stopped,
        }
    }

    /// What it makes of the claimed event. A send had so much time.
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
