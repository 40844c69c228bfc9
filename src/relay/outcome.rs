//! What came of one send, and what that makes of its event.

use std::time::Duration;

use crate::broker::{BrokerError, BrokerErrorKind};
use crate::outbox::{Claim, Settlement};

pub(super) enum Outcome {
    Answered(Result<(), BrokerError>),
    TimedOut,
    Cancelled,
}

impl Outcome {
    /// As the span of the send tells it.
    pub(super) fn told(&self) -> Result<&'static str, &'static str> {
        match self {
            Self::Answered(Ok(())) => Ok("confirmed"),
            Self::Answered(Err(error)) => Err(match error.kind() {
                BrokerErrorKind::Unreachable => "unreachable",
                BrokerErrorKind::Unavailable => "unavailable",
                BrokerErrorKind::Unroutable => "unroutable",
                BrokerErrorKind::Transient => "transient",
                BrokerErrorKind::Permanent => "permanent",
            }),
            Self::TimedOut => Err("timed_out"),
            Self::Cancelled => Err("stopped"),
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
