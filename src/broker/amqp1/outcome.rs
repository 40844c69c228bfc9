//! What a server's word says of an event, and of the place that it was sent to: every
//! outcome, refusal and end, decided here and nowhere else.

use std::fmt;

use fe2o3_amqp::connection::ConnectionStopReason;
use fe2o3_amqp::link::{
    DetachError, LinkStateError, ReceiverAttachError, SendError, SenderAttachError,
    SessionStopReason,
};
use fe2o3_amqp::types::definitions::{Error, ErrorCondition};
use fe2o3_amqp::types::messaging::Outcome;
use fe2o3_amqp::types::primitives::Symbol;

use crate::broker::{BrokerError, BrokerErrorKind};
use crate::reason::reason;

/// What a server gives as its reason: a condition of the protocol or of its own, and text
/// for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    condition: String,
    description: Option<String>,
}

impl From<&Error> for Said {
    fn from(error: &Error) -> Self {
        let condition = match &error.condition {
            ErrorCondition::AmqpError(error) => Symbol::from(error),
            ErrorCondition::ConnectionError(error) => Symbol::from(error),
            ErrorCondition::SessionError(error) => Symbol::from(error),
            ErrorCondition::LinkError(error) => Symbol::from(error),
            ErrorCondition::Custom(condition) => condition.clone(),
        };
        Self { condition: condition.0, description: error.description.clone() }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.condition.as_str(), &self.description) {
            ("", None) => f.write_str("no reason is given"),
            (condition, None) => f.write_str(condition),
            (condition, Some(description)) => write!(f, "{condition}, {description}"),
        }
    }
}

/// What a `rejected` says: of the event where it is about its form, of the place where it
/// is about room or rights, and of the event's type where nothing is bound for it.
fn of_rejected(condition: &str) -> BrokerErrorKind {
    match condition {
        "amqp:not-allowed"
        | "amqp:invalid-field"
        | "amqp:decode-error"
        | "amqp:not-implemented"
        | "amqp:link:message-size-exceeded" => BrokerErrorKind::Permanent,
        "amqp:resource-limit-exceeded"
        | "amqp:unauthorized-access"
        | "com.microsoft:server-busy" => BrokerErrorKind::Unavailable,
        "amqp:not-found" => BrokerErrorKind::Unroutable,
        _ => BrokerErrorKind::Transient,
    }
}

/// What the end of a link, session or connection says: of the place where it is missing,
/// full or closed to this account, and else nothing. Qpid Broker-J takes the link of a
/// user who may not publish, and closes it at the first event.
fn is_of_the_place(condition: &str) -> bool {
    matches!(
        condition,
        "amqp:not-found"
            | "amqp:not-allowed"
            | "amqp:unauthorized-access"
            | "amqp:resource-limit-exceeded"
            | "amqp:resource-deleted"
    )
}

/// What became of an event that the server has settled.
pub(super) fn of_outcome(outcome: Outcome, place: &str) -> Result<(), BrokerError> {
    match outcome {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Rejected(rejected) => {
            let said = rejected.error.as_ref().map(Said::from).unwrap_or_default();
            let why = format!("{place} rejected the event: {said}");
            Err(BrokerError::new(of_rejected(&said.condition), why))
        }
        Outcome::Released(_) => {
            Err(BrokerError::transient(format!("{place} released the event")))
        }
        Outcome::Modified(modified) if modified.undeliverable_here == Some(true) => {
            Err(BrokerError::permanent(format!("{place} cannot deliver the event")))
        }
        Outcome::Modified(_) => Err(BrokerError::transient(format!(
            "{place} failed with the event, and gave it back"
        ))),
    }
}

/// Whether another link may fare better after this: a queue that was deleted under its
/// link rejects what is sent for reasons of its own, and is refused to a new one.
pub(super) fn wants_a_new_link(outcome: &Outcome) -> bool {
    let Outcome::Rejected(rejected) = outcome else { return false };
    let said = rejected.error.as_ref().map(Said::from).unwrap_or_default();
    of_rejected(&said.condition) == BrokerErrorKind::Transient
}

/// How a link came to its end, in the most telling words that were heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The server gave a reason.
    Said(Said),
    /// Nobody gave one.
    Lost(String),
    /// It took events, or their place in a queue, and answered nothing in this time.
    Silent(String),
}

impl Ended {
    /// What it says of an event that was on its way, whose outcome is unknown.
    pub(super) fn of_sent(&self, place: &str) -> BrokerError {
        match self {
            Self::Said(said) if is_of_the_place(&said.condition) => self.of_place(place),
            Self::Silent(_) => self.of_place(place),
            Self::Said(_) | Self::Lost(_) => BrokerError::transient(format!(
                "{place} had not confirmed when the link ended: {self}"
            )),
        }
    }

    /// What it says of an event that was not sent.
    pub(super) fn of_unsent(&self, place: &str) -> BrokerError {
        match self.of_sent(place) {
            place if place.kind() == BrokerErrorKind::Unavailable => place,
            _ => BrokerError::unreachable(format!("{place}: the link has ended: {self}")),
        }
    }

    fn of_place(&self, place: &str) -> BrokerError {
        BrokerError::unavailable(format!("{place}: {self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(said) => said.fmt(f),
            Self::Lost(why) | Self::Silent(why) => f.write_str(why),
        }
    }
}

impl From<&Error> for Ended {
    fn from(error: &Error) -> Self {
        Self::Said(error.into())
    }
}

impl From<&SessionStopReason> for Ended {
    fn from(reason: &SessionStopReason) -> Self {
        use ConnectionStopReason as Connection;
        match reason {
            SessionStopReason::RemoteEndedWithError(error)
            | SessionStopReason::ConnectionStopped(Connection::RemoteClosedWithError(
                error,
            )) => error.into(),
            SessionStopReason::EndedWithError(error)
            | SessionStopReason::ConnectionStopped(Connection::ClosedWithError(error)) => {
                Self::Lost(format!("given up by the client: {}", Said::from(error)))
            }
            SessionStopReason::RemoteEnded
            | SessionStopReason::ConnectionStopped(Connection::RemoteClosed) => {
                Self::Lost("the server has closed it".to_owned())
            }
            SessionStopReason::Ended
            | SessionStopReason::ConnectionStopped(Connection::Closed) => {
                Self::Lost("the connection is gone".to_owned())
            }
        }
    }
}

impl From<&LinkStateError> for Ended {
    fn from(error: &LinkStateError) -> Self {
        match error {
            LinkStateError::SessionStopped(reason) => reason.into(),
            LinkStateError::RemoteDetachedWithError(error)
            | LinkStateError::RemoteClosedWithError(error) => error.into(),
            error => Self::Lost(reason(error)),
        }
    }
}

impl From<&DetachError> for Ended {
    fn from(error: &DetachError) -> Self {
        match error {
            DetachError::SessionStopped(reason) => reason.into(),
            DetachError::RemoteDetachedWithError(error)
            | DetachError::RemoteClosedWithError(error) => error.into(),
            error => Self::Lost(reason(error)),
        }
    }
}

/// What a failed send says: `Err` where it says it of the event alone.
pub(super) fn of_send(error: &SendError) -> Result<Ended, BrokerError> {
    match error {
        SendError::LinkStateError(error) => Ok(error.into()),
        SendError::Detached(error) => Ok(error.into()),
        SendError::MessageSizeExceeded(error) => Err(BrokerError::permanent(format!(
            "the event is larger than the server takes: {}",
            reason(error)
        ))),
        SendError::MessageEncodeError => {
            Err(BrokerError::permanent("the event cannot be written in AMQP"))
        }
        error => Err(BrokerError::transient(reason(error))),
    }
}

/// A link was refused: whatever the server's words, no event gets there now.
pub(super) fn of_sender_refused(error: &SenderAttachError, place: &str) -> BrokerError {
    match error {
        SenderAttachError::RemoteClosedWithError(error) => {
            BrokerError::unavailable(format!("{place}: {}", Said::from(error)))
        }
        SenderAttachError::SessionStopped(reason) => Ended::from(reason).of_unsent(place),
        error => BrokerError::unreachable(format!("{place}: {}", reason(error))),
    }
}

/// The same, of a link to receive on.
pub(super) fn of_receiver_refused(
    error: &ReceiverAttachError,
    place: &str,
) -> BrokerError {
    match error {
        ReceiverAttachError::RemoteClosedWithError(error) => {
            BrokerError::unavailable(format!("{place}: {}", Said::from(error)))
        }
        ReceiverAttachError::SessionStopped(reason) => {
            Ended::from(reason).of_unsent(place)
        }
        error => BrokerError::unreachable(format!("{place}: {}", reason(error))),
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp::types::definitions::{AmqpError, ConnectionError, LinkError};
    use fe2o3_amqp::types::messaging::{Accepted, Modified, Rejected, Released};

    use super::*;

    fn because(condition: impl Into<ErrorCondition>) -> Error {
        Error::new(condition, "why".to_owned(), None)
    }

    fn rejected(condition: impl Into<ErrorCondition>) -> Outcome {
        Outcome::Rejected(Rejected { error: Some(because(condition)) })
    }

    fn modified(undeliverable_here: Option<bool>) -> Outcome {
        let failed = Some(true);
        Outcome::Modified(Modified {
            delivery_failed: failed,
            undeliverable_here,
            message_annotations: None,
        })
    }

    fn custom(condition: &str) -> ErrorCondition {
        ErrorCondition::Custom(Symbol::from(condition))
    }

    /// The table of the guide: a wrong row makes a dead letter of a good event, or lets a
    /// poison one keep its attempt for ever.
    #[test]
    fn each_outcome_is_the_events_or_the_places() {
        use BrokerErrorKind::{Permanent, Transient, Unavailable, Unroutable};
        for (outcome, kind, new_link) in [
            (Outcome::Accepted(Accepted {}), None, false),
            (rejected(AmqpError::NotAllowed), Some(Permanent), false),
            (rejected(AmqpError::InvalidField), Some(Permanent), false),
            (rejected(AmqpError::DecodeError), Some(Permanent), false),
            (rejected(AmqpError::NotImplemented), Some(Permanent), false),
            (rejected(LinkError::MessageSizeExceeded), Some(Permanent), false),
            (rejected(AmqpError::ResourceLimitExceeded), Some(Unavailable), false),
            (rejected(AmqpError::UnauthorizedAccess), Some(Unavailable), false),
            (rejected(custom("com.microsoft:server-busy")), Some(Unavailable), false),
            (rejected(AmqpError::NotFound), Some(Unroutable), false),
            (rejected(AmqpError::InternalError), Some(Transient), true),
            (rejected(custom("failed")), Some(Transient), true),
            (Outcome::Rejected(Rejected { error: None }), Some(Transient), true),
            (Outcome::Released(Released {}), Some(Transient), false),
            (modified(None), Some(Transient), false),
            (modified(Some(true)), Some(Permanent), false),
        ] {
            assert_eq!(wants_a_new_link(&outcome), new_link, "{outcome:?}");
            let shown = format!("{outcome:?}");
            let found = of_outcome(outcome, "the queue orders");
            assert_eq!(found.err().map(|error| error.kind()), kind, "{shown}");
        }
    }

    #[test]
    fn the_end_of_a_link_is_the_places_where_the_server_says_so() {
        use BrokerErrorKind::{Transient, Unavailable, Unreachable};
        for (condition, sent, unsent) in [
            (AmqpError::NotFound.into(), Unavailable, Unavailable),
            (AmqpError::NotAllowed.into(), Unavailable, Unavailable),
            (AmqpError::UnauthorizedAccess.into(), Unavailable, Unavailable),
            (AmqpError::ResourceLimitExceeded.into(), Unavailable, Unavailable),
            (AmqpError::ResourceDeleted.into(), Unavailable, Unavailable),
            (AmqpError::InternalError.into(), Transient, Unreachable),
            (LinkError::DetachForced.into(), Transient, Unreachable),
            (ConnectionError::ConnectionForced.into(), Transient, Unreachable),
            (custom("own"), Transient, Unreachable),
        ] {
            let condition: ErrorCondition = condition;
            let ended = Ended::from(&because(condition.clone()));
            assert_eq!(ended.of_sent("q").kind(), sent, "{condition:?}");
            assert_eq!(ended.of_unsent("q").kind(), unsent, "{condition:?}");
        }
        let silent = Ended::Silent("no answer".to_owned());
        assert_eq!(silent.of_sent("q").kind(), Unavailable);
        let lost = Ended::Lost("gone".to_owned());
        assert_eq!(lost.of_sent("q").kind(), Transient);
        assert_eq!(lost.of_unsent("q").kind(), Unreachable);
    }

    #[test]
    fn the_servers_words_are_kept() {
        let refused = of_outcome(rejected(AmqpError::NotFound), "the queue orders");
        assert_eq!(
            refused.map_err(|error| error.reason().to_owned()),
            Err("the queue orders rejected the event: amqp:not-found, why".to_owned())
        );
    }
}
