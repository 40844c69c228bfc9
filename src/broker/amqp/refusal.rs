//! What a refusal of the server says of an event, and of the place that it was sent to.

use std::fmt;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};

use crate::broker::{BrokerError, BrokerErrorKind};
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
    pub(super) fn about(&self, what: &str) -> BrokerError {
        let said = format!("{what}: {self}");
        match self {
            Self::Refused(error) => match kind(error) {
                BrokerErrorKind::Unavailable => BrokerError::unavailable(said),
                BrokerErrorKind::Permanent => BrokerError::permanent(said),
                _ => BrokerError::transient(said),
            },
            Self::Ended(_) => BrokerError::unreachable(said),
            Self::Late(_) => BrokerError::transient(said),
        }
    }

    /// In what a thing that is there differs from the one that was declared. The server
    /// names the first difference.
    pub(super) fn differs(&self) -> Option<&str> {
        let Self::Refused(error) = self else { return None };
        let (_, argument) =
            refusal(error)?.get_message().as_str().split_once("inequivalent arg '")?;
        Some(argument.split_once('\'')?.0)
    }

    pub(super) fn is_of_permissions(&self) -> bool {
        matches!(self, Self::Refused(error) if matches!(soft(error), Some(AMQPSoftError::ACCESSREFUSED)))
    }
}

/// A publish was refused, or what it came to is not known. It was alone on its channel,
/// so that this says nothing of another event.
pub(super) fn of_publish(exchange: &str, unanswered: &Unanswered) -> BrokerError {
    let Unanswered::Refused(error) = unanswered else {
        return BrokerError::transient(format!(
            "the server had not confirmed: {unanswered}"
        ));
    };
    let said = format!("the exchange {exchange}: {unanswered}");
    match kind(error) {
        BrokerErrorKind::Unavailable if says(error, "access to topic") => {
            BrokerError::unroutable(said)
        }
        BrokerErrorKind::Unavailable => BrokerError::unavailable(said),
        BrokerErrorKind::Permanent => BrokerError::permanent(said),
        _ => BrokerError::transient(said),
    }
}

/// The server's own words, by which it ends a channel.
fn kind(error: &lapin::Error) -> BrokerErrorKind {
    match soft(error) {
        // No such exchange or queue, no permission, another one's: it is the same for
        // whichever event.
        Some(
            AMQPSoftError::NOTFOUND
            | AMQPSoftError::ACCESSREFUSED
            | AMQPSoftError::RESOURCELOCKED,
        ) => BrokerErrorKind::Unavailable,
        // Larger than the server takes, or there and another one than was wanted.
        Some(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::CONTENTTOOLARGE) => {
            BrokerErrorKind::Permanent
        }
        _ => BrokerErrorKind::Transient,
    }
}

fn soft(error: &lapin::Error) -> Option<&AMQPSoftError> {
    match refusal(error)?.kind() {
        AMQPErrorKind::Soft(soft) => Some(soft),
        AMQPErrorKind::Hard(_) => None,
    }
}

fn says(error: &lapin::Error, words: &str) -> bool {
    refusal(error).is_some_and(|refused| refused.get_message().as_str().contains(words))
}

fn refusal(error: &lapin::Error) -> Option<&AMQPError> {
    match error.kind() {
        ErrorKind::ProtocolError(refused) => Some(refused),
        _ => None,
    }
}
