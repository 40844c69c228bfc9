//! A broker's message as an event: what every adapter does with the headers and the body that its client hands out.

use chrono::{DateTime, Utc};
#[cfg(feature = "amqp")]
use uuid::Uuid;

use super::SendError;
use crate::cloudevents::{Binding, CloudEvent, NotACloudEvent};
use crate::state::Pending;
use crate::{Envelope, EventId, Untyped};

/// The type of a message that is no event that can be read: [`read_message`].
pub const UNREADABLE: &str = "unreadable";

/// Where a message was found, for one that says nothing readable about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The queue, topic or subject. Not empty.
    pub place: &'a str,
    /// What tells it from every other message of the place, and is the same each time that it is delivered. Not empty.
    pub position: &'a str,
    /// When the broker took it in.
    pub at: DateTime<Utc>,
}

/// The event that a message in CloudEvents binary mode holds; with the feature `serde`, in structured mode as JSON too.
///
/// A message that is none becomes an event of the type [`UNREADABLE`] with the place as its source, the body as its
/// payload, the reason under the tag `unreadable`, and an id [derived](EventId::derived) from place and position. An
/// inbox whose [rules](crate::inbox::Rules::accept) name what it takes in makes a dead letter of it, and it blocks
/// nothing.
///
/// # Errors
///
/// [`Permanent`](super::SendErrorKind::Permanent), where the place or the position is empty.
///
/// ```
/// use integration_automation_patterns::broker::{Found, UNREADABLE, read_message};
/// use integration_automation_patterns::cloudevents::Binding;
///
/// let found = Found { place: "orders", position: "17", at: "2026-01-05T08:00:00Z".parse()? };
/// let event = read_message(Binding::Nats, [("ce-id", "1")], b"hello".to_vec(), &found)?;
/// assert_eq!((event.event_type(), event.source_system()), (UNREADABLE, "orders"));
/// assert_eq!(event.tags()["unreadable"], "a CloudEvent has the attribute specversion, and this message has none");
/// assert_eq!(event.payload().bytes(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_message<'h>(
    binding: Binding,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: Vec<u8>,
    found: &Found<'_>,
) -> Result<Envelope<Pending>, SendError> {
    let (body, reason) = match CloudEvent::from_headers(binding, headers, body) {
        Ok(event) => match event.into_envelope_at(found.at) {
            Ok(event) => return Ok(event),
            Err(refused) => {
                let reason = refused.to_string();
                (refused.into_value().into_data(), reason)
            }
        },
        Err(refused) => {
            let (body, cause) = refused.into_parts();
            match structured(body, &cause, found.at) {
                Ok(event) => return Ok(event),
                Err((body, reason)) => (body, reason),
            }
        }
    };
    unreadable(body, reason, found)
}

/// The event of a message whose body is the whole event.
#[cfg(feature = "serde")]
fn structured(
    body: Vec<u8>,
    cause: &NotACloudEvent,
    at: DateTime<Utc>,
) -> Result<Envelope<Pending>, (Vec<u8>, String)> {
    if !matches!(cause, NotACloudEvent::Structured { .. }) {
        return Err((body, cause.to_string()));
    }
    let read = CloudEvent::from_json(&body).map_err(|wrong| wrong.to_string());
    let read = read.and_then(|event| event.into_envelope_at(at).map_err(|refused| refused.to_string()));
    read.map_err(|reason| (body, reason))
}

#[cfg(not(feature = "serde"))]
fn structured(
    body: Vec<u8>,
    cause: &NotACloudEvent,
    _at: DateTime<Utc>,
) -> Result<Envelope<Pending>, (Vec<u8>, String)> {
    Err((body, cause.to_string()))
}

/// What stands for a message that cannot be read.
pub(super) fn unreadable(
    body: Vec<u8>,
    reason: impl Into<String>,
    found: &Found<'_>,
) -> Result<Envelope<Pending>, SendError> {
    let impossible = |why: String| SendError::permanent(format!("a message without a place or a position: {why}"));
    let id = EventId::derived(found.place, found.position).map_err(|why| impossible(why.to_string()))?;
    Envelope::builder(found.place.to_owned(), Untyped::new(UNREADABLE, body))
        .id(id)
        .tag(UNREADABLE, reason)
        .build_at(found.at)
        .map_err(|refused| impossible(refused.to_string()))
}

/// A position for a message of a broker that gives none: the same for the same content.
#[cfg(feature = "amqp")]
pub(super) fn position_of_content<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut position = EventId::NAMESPACE;
    for part in parts {
        position = Uuid::new_v5(&position, part);
    }
    position.to_string()
}
