//! CloudEvents 1.0: an event as programs in other languages read and write it.
//!
//! [`CloudEvent::of`] makes one of an envelope, [`CloudEvent::into_envelope`] an envelope
//! of one. On the wire it is in *binary mode*, as headers beside the payload
//! ([`CloudEvent::headers`], [`CloudEvent::from_headers`]), under the names that each
//! protocol's [`Binding`] gives them; or, with the feature `serde`, in *structured mode*,
//! as one JSON object.
//!
//! # Mapping
//!
//! | attribute | envelope | |
//! |---|---|---|
//! | `id` | [`id`](Facts::id) | the text form |
//! | `source` | [`source_system`](Facts::source_system) | see *escapes* where it is no URI reference |
//! | `specversion` | | `1.0` |
//! | `type` | [`event_type`](Facts::event_type) | |
//! | `time` | [`created_at`](Facts::created_at) | in UTC, to the microsecond |
//! | `datacontenttype` | tag `datacontenttype` | see *content type* |
//! | `dataschema` | tag `dataschema` | where it is a URI |
//! | `subject` | tag `subject` | the record that the event is about |
//! | `correlationid` | [`correlation_id`](Facts::correlation_id) | the standard's correlation extension |
//! | `partitionkey` | [`ordering_key`](Facts::ordering_key) | the standard's partitioning extension |
//! | `keyafter` | tag `keyafter` | own: the id of the event of this key and source that was confirmed before this one |
//! | `traceparent`, `tracestate` | tags of these names | the standard's distributed tracing extension |
//! | `schemaversion` | [`schema_version`](Facts::schema_version) | own; left out where it is `1.0`, and `1.0` where it is absent |
//! | `deliveryattempt` | [`attempts`](Facts::attempts) | own; written once there is one, ignored on reading |
//! | any other name | the tag of this name | out: where the name has at most 20 of `a`-`z`, `0`-`9` |
//! | `othertags` | every other tag | own: `key=value`, percent-encoded, with `&` between |
//! | `pctencoded` | | own: see *escapes* |
//!
//! Retry policy, failure, decisions, state and lease stay where the event is stored. The
//! receiver's envelope is a pending one, with a policy and a count of its own.
//!
//! So an envelope comes back with the same id, type, source, schema version, correlation
//! id, time, tags and payload, and an event of another program goes out as it came in:
//! with its extensions, a time in UTC to the microsecond, and every value as text (binary
//! mode knows no other; in JSON, the standard lets a number stand as text).
//!
//! **Escapes.** An id, type, source, schema version or correlation id that the standard
//! does not allow (a control character, a source such as `Payroll (old)` that is no URI
//! reference) is percent-encoded, and `pctencoded` lists the attributes to which that was
//! done, with blanks between.
//!
//! **Content type.** Without the tag, a payload that begins and ends as a JSON object,
//! array or text is `application/json`, and any other has none. The tag says another, or,
//! where it is empty, that none is stated.
//!
//! # Identity
//!
//! The standard's identity of an event is `source` and `id` together; that of an envelope
//! is its id alone. This crate's fresh and derived ids are UUIDs, and unique without the
//! source. Two other senders may both count 1, 2, 3: where such events go to one inbox,
//! take them in with [`CloudEvent::with_derived_id`].
//!
//! Source: CloudEvents 1.0.2, with the bindings for HTTP, NATS, Kafka and AMQP, and its
//! correlation, partitioning and distributed tracing extensions; for RabbitMQ, Knative's
//! binding.

mod attribute;
mod binding;
mod error;
#[cfg(feature = "serde")]
mod json;
mod mapping;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};

use self::attribute::flaw;
pub use self::binding::Binding;
pub use self::error::{FromCloudEventError, ParseCloudEventError};
#[cfg(doc)]
use crate::Facts;

/// An event as the standard has it: attributes, which are text under names, and data,
/// which are bytes.
///
/// It always has an `id`, a `source` and a `type`, and every attribute is as the standard
/// wants it. The mapping to and from an envelope stands [here](self).
///
/// ```
/// use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", br#"{"lead":7}"#))
///         .id("evt-001".parse()?)
///         .correlation_id("import-7")
///         .ordering_key("lead-7")
///         .build()?;
/// let sent = CloudEvent::of(&event.dispatch());
/// assert_eq!(sent.attribute("partitionkey"), Some("lead-7"));
/// assert_eq!(sent.attribute("deliveryattempt"), Some("1"));
///
/// // Through any client of any broker:
/// let headers = sent.headers(Binding::Nats).collect::<Vec<_>>();
/// let headers = headers.iter().map(|(name, value)| (name.as_str(), &**value));
/// let received =
///     CloudEvent::from_headers(Binding::Nats, headers, sent.data().to_vec())?;
///
/// let event = received.into_envelope()?.dispatch().acknowledge();
/// assert_eq!(event.id().to_string(), "evt-001");
/// assert_eq!(
///     (event.correlation_id(), event.ordering_key()),
///     (Some("import-7"), Some("lead-7"))
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CloudEvent {
    /// Checked by `check`.
    attributes: BTreeMap<String, String>,
    data: Vec<u8>,
}

const CONTENT_TYPE: &str = "datacontenttype";

impl CloudEvent {
    /// The sender's id for the event, unique beside the [`source`](Self::source).
    pub fn id(&self) -> &str {
        self.attribute("id").unwrap_or_default()
    }

    /// Where the event comes from, as a URI reference.
    pub fn source(&self) -> &str {
        self.attribute("source").unwrap_or_default()
    }

    /// What happened, in the sender's words.
    pub fn event_type(&self) -> &str {
        self.attribute("type").unwrap_or_default()
    }

    /// When it happened, where the sender says so.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.attribute("time").and_then(attribute::time)
    }

    /// What the data are: the attribute `datacontenttype`.
    pub fn content_type(&self) -> Option<&str> {
        self.attribute(CONTENT_TYPE)
    }

    /// The value of an attribute, the standard's own or an extension.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Every attribute, in the order of the names.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The business data; of an event without data, no bytes.
    ///
    /// Over Kafka, an event without data is a message without a value, which a compacted
    /// topic takes for a deletion.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The business data, without a copy.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }
}

/// What all attributes together must be.
fn check(attributes: &BTreeMap<String, String>) -> Result<(), ParseCloudEventError> {
    for attribute in ["specversion", "id", "source", "type"] {
        if !attributes.contains_key(attribute) {
            return Err(ParseCloudEventError::Missing { attribute });
        }
    }
    let flawed = attributes
        .iter()
        .find_map(|(name, value)| Some((name, flaw(name, value)?, value)));
    flawed.map_or(Ok(()), |(name, wanted, found)| {
        Err(ParseCloudEventError::value(name, wanted, found))
    })
}

impl fmt::Debug for CloudEvent {
    /// Id, source, type and the number of bytes; never the data or an extension, which
    /// may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudEvent")
            .field("id", &self.id())
            .field("source", &self.source())
            .field("type", &self.event_type())
            .field("length", &self.data.len())
            .finish_non_exhaustive()
    }
}
