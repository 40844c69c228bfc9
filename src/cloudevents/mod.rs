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
//! | `traceparent`, `tracestate` | tags of these names | the standard's distributed tracing extension |
//! | `schemaversion` | [`schema_version`](Facts::schema_version) | own; left out where it is `1.0`, and `1.0` where it is absent |
//! | `deliveryattempt` | [`attempts`](Facts::attempts) | own; written once there is one, passed over on reading |
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
#[cfg(feature = "serde")]
mod json;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use self::attribute::{Escaped, flaw, is_name, unescaped};
pub use self::binding::Binding;
use crate::envelope::{ORDERING_KEY, Payload};
use crate::event::BuildError;
use crate::state::Pending;
use crate::{Envelope, EventId, Facts, RawEvent, Refused};

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

/// What an envelope is built from.
struct Read {
    id: EventId,
    event_type: String,
    source_system: String,
    correlation_id: String,
    schema_version: String,
    tags: BTreeMap<String, String>,
}

/// The attributes that are not kept as a tag of the same name.
const RESERVED: [&str; 12] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    CONTENT_TYPE,
    "correlationid",
    "partitionkey",
    "schemaversion",
    "deliveryattempt",
    "othertags",
    "pctencoded",
];

const CONTENT_TYPE: &str = "datacontenttype";

/// The longest name of an extension that the standard recommends.
const LONGEST_NAME: usize = 20;

impl CloudEvent {
    /// The event of an envelope in any state, or of an `AnyEnvelope`. A typed one is
    /// [encoded](Envelope::encode) first.
    pub fn of(event: &Facts<RawEvent>) -> Self {
        let data = event.payload().bytes().to_vec();
        let mut attributes =
            BTreeMap::from([("specversion".to_owned(), "1.0".to_owned())]);
        let time = event.created_at().to_rfc3339_opts(SecondsFormat::AutoSi, true);
        attributes.insert("time".to_owned(), time);

        let schema_version = Some(event.schema_version())
            .filter(|version| *version != RawEvent::DEFAULT_SCHEMA_VERSION);
        let mut escaped = Vec::new();
        for (name, value) in [
            ("id", Some(event.id().to_string())),
            ("source", Some(event.source_system().to_owned())),
            ("type", Some(event.event_type().to_owned())),
            ("schemaversion", schema_version.map(str::to_owned)),
            ("correlationid", event.correlation_id().map(str::to_owned)),
        ] {
            let Some(value) = value else { continue };
            if flaw(name, &value).is_none() {
                attributes.insert(name.to_owned(), value);
            } else {
                attributes.insert(name.to_owned(), Escaped(&value).to_string());
                escaped.push(name);
            }
        }
        if !escaped.is_empty() {
            attributes.insert("pctencoded".to_owned(), escaped.join(" "));
        }
        if event.attempts() > 0 {
            attributes.insert("deliveryattempt".to_owned(), event.attempts().to_string());
        }

        let tags = event.tags();
        let content_type = match tags.get(CONTENT_TYPE) {
            Some(stated) => Some(stated.as_str())
                .filter(|stated| flaw(CONTENT_TYPE, stated).is_none()),
            None => apparent_type(&data),
        };
        let mut others = Vec::new();
        for (key, value) in tags {
            let name = match key.as_str() {
                CONTENT_TYPE if tag_of(content_type, &data) == Some(value) => continue,
                ORDERING_KEY => "partitionkey",
                key if RESERVED.contains(&key) => "",
                key => key,
            };
            if is_name(name) && name.len() <= LONGEST_NAME && flaw(name, value).is_none()
            {
                attributes.insert(name.to_owned(), value.clone());
            } else {
                others.push(format!("{}={}", Escaped(key), Escaped(value)));
            }
        }
        if !others.is_empty() {
            attributes.insert("othertags".to_owned(), others.join("&"));
        }
        if let Some(content_type) = content_type {
            attributes.insert(CONTENT_TYPE.to_owned(), content_type.to_owned());
        }
        Self { attributes, data }
    }

    /// The pending envelope that a receiver starts with, under the sender's own id; it
    /// goes on with [`dispatch`](Envelope::dispatch) and
    /// [`acknowledge`](Envelope::acknowledge).
    ///
    /// An event that does not say when it happened counts as created now; the twin that
    /// takes the time is [`into_envelope_at`](Self::into_envelope_at). For a sender whose
    /// ids are unique only beside its `source`, begin with
    /// [`with_derived_id`](Self::with_derived_id).
    ///
    /// # Errors
    ///
    /// As [`into_envelope_at`](Self::into_envelope_at).
    pub fn into_envelope(
        self,
    ) -> Result<Envelope<Pending>, Refused<Self, FromCloudEventError>> {
        self.into_envelope_at(Utc::now())
    }

    /// The pending envelope that a receiver starts with, created when the event says, or
    /// else at the time given.
    ///
    /// # Errors
    ///
    /// [`FromCloudEventError`], with the event given back: one of this crate's own
    /// attributes cannot be read, or the event's time is in no year from 0000 to 9999 in
    /// UTC.
    ///
    /// ```
    /// use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
    ///
    /// let headers = [
    ///     ("ce_specversion", "1.0"),
    ///     ("ce_id", "1"),
    ///     ("ce_source", "//shop.example.com/orders"),
    ///     ("ce_type", "com.example.order.placed"),
    ///     ("ce_tenant", "eu-west-1"),
    /// ];
    /// let received = CloudEvent::from_headers(Binding::Kafka, headers, b"{}".to_vec())?;
    /// let event = received.into_envelope_at("2026-01-05T08:00:00Z".parse()?)?;
    /// assert_eq!(event.source_system(), "//shop.example.com/orders");
    /// assert_eq!(event.tags()["tenant"], "eu-west-1");
    /// assert_eq!(event.created_at().to_rfc3339(), "2026-01-05T08:00:00+00:00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_envelope_at(
        mut self,
        received_at: DateTime<Utc>,
    ) -> Result<Envelope<Pending>, Refused<Self, FromCloudEventError>> {
        let read = match self.read() {
            Ok(read) => read,
            Err(cause) => return Err(Refused::new(self, cause)),
        };
        let data = std::mem::take(&mut self.data);
        let payload =
            RawEvent::new(read.event_type, data).with_schema_version(read.schema_version);
        let builder = Envelope::builder(read.source_system, payload)
            .id(read.id)
            .correlation_id(read.correlation_id);
        let builder = read
            .tags
            .into_iter()
            .fold(builder, |builder, (key, value)| builder.tag(key, value));
        builder.build_at(self.time().unwrap_or(received_at)).map_err(|refused| {
            let (builder, cause) = refused.into_parts();
            let (_, _, data) = builder.into_payload().into_stored();
            Refused::new(Self { data, ..self }, FromCloudEventError::BuildError(cause))
        })
    }

    /// The envelope's facts, but for the payload and the time.
    fn read(&self) -> Result<Read, FromCloudEventError> {
        let id = self.own("id")?.unwrap_or_default();
        let mut tags = BTreeMap::new();
        for (name, value) in
            self.attributes().filter(|(name, _)| !RESERVED.contains(name))
        {
            tags.insert(name.to_owned(), value.to_owned());
        }
        if let Some(key) = self.attribute("partitionkey") {
            tags.insert(ORDERING_KEY.to_owned(), key.to_owned());
        }
        if let Some(stated) = tag_of(self.content_type(), &self.data) {
            tags.insert(CONTENT_TYPE.to_owned(), stated.to_owned());
        }
        for pair in
            self.attribute("othertags").into_iter().flat_map(|others| others.split('&'))
        {
            let pair = pair
                .split_once('=')
                .and_then(|(key, value)| unescaped(key).zip(unescaped(value)));
            let wanted = "key=value, percent-encoded, with & between";
            let (key, value) =
                pair.ok_or(FromCloudEventError::Attribute { name: "othertags", wanted })?;
            tags.insert(key, value);
        }
        Ok(Read {
            id: id.parse().map_err(|_| FromCloudEventError::Attribute {
                name: "id",
                wanted: "a text that is not empty",
            })?,
            event_type: self.own("type")?.unwrap_or_default(),
            source_system: self.own("source")?.unwrap_or_default(),
            correlation_id: self.own("correlationid")?.unwrap_or_default(),
            schema_version: self
                .own("schemaversion")?
                .unwrap_or_else(|| RawEvent::DEFAULT_SCHEMA_VERSION.to_owned()),
            tags,
        })
    }

    /// The value that an attribute was written from.
    fn own(&self, name: &'static str) -> Result<Option<String>, FromCloudEventError> {
        let Some(value) = self.attribute(name) else { return Ok(None) };
        if !self
            .attribute("pctencoded")
            .unwrap_or_default()
            .split(' ')
            .any(|listed| listed == name)
        {
            return Ok(Some(value.to_owned()));
        }
        let wanted = "percent-encoded UTF-8, as pctencoded says";
        unescaped(value).map(Some).ok_or(FromCloudEventError::Attribute { name, wanted })
    }

    /// The same event under the id [`EventId::derived`] from its `source` and `id`, with
    /// the sender's own id kept as the extension `senderid`: for senders that count 1, 2,
    /// 3.
    ///
    /// ```
    /// use integration_automation_patterns::EventId;
    /// use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
    ///
    /// let read = |source| {
    ///     let headers = [
    ///         ("ce_specversion", "1.0"),
    ///         ("ce_id", "1"),
    ///         ("ce_source", source),
    ///         ("ce_type", "ping"),
    ///     ];
    ///     CloudEvent::from_headers(Binding::Kafka, headers, Vec::new())
    /// };
    /// let event = read("payroll")?.with_derived_id().into_envelope()?;
    /// assert_eq!(*event.id(), EventId::derived("payroll", "1")?);
    /// assert_eq!(event.tags()["senderid"], "1");
    /// assert_ne!(
    ///     *event.id(),
    ///     *read("billing")?.with_derived_id().into_envelope()?.id()
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this gives the changed event back"]
    pub fn with_derived_id(mut self) -> Self {
        if let Ok(derived) = EventId::derived(self.source(), self.id())
            && let Some(id) = self.attributes.insert("id".to_owned(), derived.to_string())
        {
            self.attributes.insert("senderid".to_owned(), id);
        }
        self
    }

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

/// What data are that nobody has described: JSON, or nothing that can be told from the
/// outside.
fn apparent_type(data: &[u8]) -> Option<&'static str> {
    let ends = (data.trim_ascii().first()?, data.trim_ascii().last()?);
    let is_json = matches!(ends, (b'{', b'}') | (b'[', b']') | (b'"', b'"'));
    (is_json && str::from_utf8(data).is_ok()).then_some("application/json")
}

/// The tag that keeps a stated content type, where it says something else than the data
/// do.
fn tag_of<'a>(stated: Option<&'a str>, data: &[u8]) -> Option<&'a str> {
    match (stated, apparent_type(data)) {
        (None, Some(_)) => Some(""),
        (stated, apparent) => stated.filter(|_| stated != apparent),
    }
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

/// A message that is no CloudEvent, or none that can be read so.
///
/// What is found is shown for the standard's own attributes alone: an extension may hold
/// what no log should.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseCloudEventError {
    /// A required attribute is missing.
    Missing {
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute is there twice.
    Twice {
        /// The attribute.
        attribute: String,
    },
    /// An attribute is not called as attributes are.
    Name {
        /// What it is called.
        found: String,
    },
    /// An attribute has another value than the standard allows it.
    Value {
        /// The attribute.
        attribute: String,
        /// What the standard wants.
        wanted: &'static str,
        /// The value, or its beginning; empty for an extension.
        found: String,
    },
    /// The message is in structured mode: its body is the whole event.
    Structured {
        /// The content type that says so.
        content_type: String,
    },
    /// The body of a message in structured mode is not the JSON of an event.
    Json {
        /// What is wrong with it.
        wrong: String,
    },
}

impl ParseCloudEventError {
    fn value(attribute: &str, wanted: &'static str, found: &str) -> Self {
        const SHOWN: [&str; 8] = [
            "specversion",
            "id",
            "source",
            "type",
            "time",
            "subject",
            "dataschema",
            "datacontenttype",
        ];
        let length = if SHOWN.contains(&attribute) { 40 } else { 0 };
        let found = found.chars().take(length).collect();
        Self::Value { attribute: attribute.to_owned(), wanted, found }
    }
}

impl fmt::Display for ParseCloudEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { attribute } => {
                write!(
                    f,
                    "a CloudEvent has the attribute {attribute}, and this message has none"
                )
            }
            Self::Twice { attribute } => {
                write!(
                    f,
                    "a CloudEvent has each attribute once, and this message has {attribute:?} twice"
                )
            }
            Self::Name { found } => write!(
                f,
                "an attribute of a CloudEvent is called by lower-case letters and digits, and not \"data\", and found \
                 {found:?}"
            ),
            Self::Value { attribute, wanted, found } if found.is_empty() => {
                write!(
                    f,
                    "the attribute {attribute} of a CloudEvent is {wanted}, and this one is not"
                )
            }
            Self::Value { attribute, wanted, found } => {
                write!(
                    f,
                    "the attribute {attribute} of a CloudEvent is {wanted}, and found {found:?}"
                )
            }
            Self::Structured { content_type } => write!(
                f,
                "wanted a message in binary mode, and found one in structured mode ({content_type:?}): where it is \
                 JSON, read its body with CloudEvent::from_json (feature serde)"
            ),
            Self::Json { wrong } => write!(
                f,
                "the JSON of a CloudEvent was wanted, and found otherwise: {wrong}"
            ),
        }
    }
}

impl std::error::Error for ParseCloudEventError {}

/// A CloudEvent that no envelope can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromCloudEventError {
    /// One of the attributes that this crate adds is not as this crate writes it.
    Attribute {
        /// The attribute.
        name: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// What holds of every envelope does not hold of this event.
    BuildError(BuildError),
}

impl fmt::Display for FromCloudEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute { name, wanted } => {
                write!(
                    f,
                    "the attribute {name} was to be {wanted}, and this event has something else there"
                )
            }
            Self::BuildError(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for FromCloudEventError {}
