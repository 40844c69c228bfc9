//! What a refusal of the server says of an event, and of the place that it was sent to.

use std::fmt;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use crate::broker::{SendError, SendErrorKind};
use crate::reason::reason;

/// The server did not do what it was asked.
#[derive(Debug)]
pub(super) enum Unanswered {
    Refused(lapin::Error),
    Ended(String),
    Late(Duration),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => f.write_str(&reason(error)),
            Self::Ended(why) => write!(f, "the connection has ended: {why}"),
            Self::Late(within) => write!(f, "no answer within {within:?}"),
        }
    }
}

impl Unanswered {
    /// As whoever asked tells it: a refusal is the place's where it is not the asker's.
    pub(super) fn about(&self, what: &str) -> SendError {
        let said = format!("{what}: {self}");
        match self {
            Self::Refused(error) => match kind(error) {
                SendErrorKind::Unavailable => SendError::unavailable(said),
                _ => SendError::transient(said),
            },
            Self::Ended(_) => SendError::unreachable(said),
            Self::Late(_) => SendError::transient(said),
        }
    }
}

/// A publish was refused, or what it came to is not known. It was alone on its channel, so that this says nothing of another
/// event.
pub(super) fn of_publish(exchange: &str, unanswered: &Unanswered) -> SendError {
    let Unanswered::Refused(error) = unanswered else {
        return SendError::transient(format!("the server had not confirmed: {unanswered}"));
    };
    let said = format!("the exchange {exchange}: {unanswered}");
    match kind(error) {
        SendErrorKind::Unavailable => SendError::unavailable(said),
        SendErrorKind::Permanent => SendError::permanent(said),
        _ => SendError::transient(said),
    }
}

/// The server's own words, by which it ends a channel.
fn kind(error: &lapin::Error) -> SendErrorKind {
    let ErrorKind::ProtocolError(refused) = error.kind() else { return SendErrorKind::Transient };
    match refused.kind() {
        // No such exchange or queue, no permission, another one's: it is the same for whichever event.
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND | AMQPSoftError::ACCESSREFUSED | AMQPSoftError::RESOURCELOCKED) => {
            SendErrorKind::Unavailable
        }
        // Larger than the server takes.
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::CONTENTTOOLARGE) => {
            SendErrorKind::Permanent
        }
        _ => SendErrorKind::Transient,
    }
}
