//! What came of one send, and what that makes of its event.

use std::time::Duration;

use crate::broker::{SendError, SendErrorKind};
use crate::outbox::{Claim, Settlement};

pub(super) enum Outcome {
    Answered(Result<(), SendError>),
    TimedOut,
    Cancelled,
}

impl Outcome {
    /// As the span of the send tells it.
    pub(super) fn told(&self) -> Result<&'static str, &'static str> {
        match self {
            Self::Answered(Ok(())) => Ok("confirmed"),
            Self::Answered(Err(error)) => Err(match error.kind() {
                SendErrorKind::Unreachable => "unreachable",
                SendErrorKind::Unavailable => "unavailable",
                SendErrorKind::Unroutable => "unroutable",
                SendErrorKind::Transient => "transient",
                SendErrorKind::Permanent => "permanent",
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
                SendErrorKind::Unreachable | SendErrorKind::Unavailable | SendErrorKind::Unroutable => {
                    claim.give_back(error.reason())
                }
                SendErrorKind::Transient => claim.fail(error.reason()).wait_at_least(error.wait().unwrap_or_default()),
                SendErrorKind::Permanent => claim.reject(error.reason()),
            },
            Self::TimedOut => claim.fail(format!("the broker did not confirm within {time:?}")),
            Self::Cancelled => claim.give_back("the relay was stopped"),
        }
    }
}
