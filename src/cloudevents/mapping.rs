//! From an envelope to a CloudEvent and back, attribute by attribute, as the table of
//! [`cloudevents`](super) says.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use super::attribute::{Escaped, flaw, is_name, unescaped};
use super::{CONTENT_TYPE, CloudEvent, FromCloudEventError};
use crate::envelope::{KEY_AFTER, ORDERING_KEY};
use crate::state::Pending;
use crate::{Envelope, EventId, Facts, RawEvent, Refused};

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
        write_tags(event.tags(), &data, &mut attributes);
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
            let data = builder.into_payload().into_bytes();
            Refused::new(Self { data, ..self }, FromCloudEventError::Build(cause))
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
    /// 3. The event that it names in `keyafter` is under its derived id too.
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
        if let Some(after) = self.attribute(KEY_AFTER)
            && let Ok(derived) = EventId::derived(self.source(), after)
        {
            self.attributes.insert(KEY_AFTER.to_owned(), derived.to_string());
        }
        if let Ok(derived) = EventId::derived(self.source(), self.id())
            && let Some(id) = self.attributes.insert("id".to_owned(), derived.to_string())
        {
            self.attributes.insert("senderid".to_owned(), id);
        }
        self
    }
}

/// Every tag, as an attribute of its own or among the others.
fn write_tags(
    tags: &BTreeMap<String, String>,
    data: &[u8],
    attributes: &mut BTreeMap<String, String>,
) {
    let content_type = match tags.get(CONTENT_TYPE) {
        Some(stated) => {
            Some(stated.as_str()).filter(|stated| flaw(CONTENT_TYPE, stated).is_none())
        }
        None => apparent_type(data),
    };
    let mut others = Vec::new();
    for (key, value) in tags {
        let name = match key.as_str() {
            CONTENT_TYPE if tag_of(content_type, data) == Some(value) => continue,
            ORDERING_KEY => "partitionkey",
            key if RESERVED.contains(&key) => "",
            key => key,
        };
        if is_name(name) && name.len() <= LONGEST_NAME && flaw(name, value).is_none() {
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
