//! Binary mode: the attributes as headers, under the names and in the encoding of each
//! protocol's binding.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::attribute::{is_name, unescaped};
use super::{CloudEvent, ParseCloudEventError};
use crate::Refused;

/// A protocol, and how attributes become headers there.
///
/// | binding | an attribute | its value | the content type |
/// |---|---|---|---|
/// | `Http` | `ce-id` | percent-encoded where it is not printable ASCII | the header `content-type`, as it is |
/// | `Nats` | `ce-id` | percent-encoded, as for HTTP | `ce-datacontenttype` |
/// | `Kafka` | `ce_id` | UTF-8 as it is | the header `content-type` |
/// | `Amqp` | `cloudEvents_id` | UTF-8 as it is | no header: the message's own property `content-type` |
/// | `RabbitMq` | `ce-id` | UTF-8 as it is | no header: the message's own property `content_type` |
///
/// On reading, `Http` and `Nats` take names in any case; `Amqp` and `RabbitMq` take each
/// other's, and `cloudEvents:id`. The AMQP binding allows both separators and prefers the
/// one that is written here, as a JMS client can select by no other.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binding {
    /// HTTP 1.1 and later.
    Http,
    /// NATS 2.2 and later, JetStream included.
    Nats,
    /// Kafka 0.11 and later.
    Kafka,
    /// AMQP 1.0.
    Amqp,
    /// AMQP 0.9.1, as RabbitMQ speaks it. The standard has no binding for it; this is the
    /// one of Knative's RabbitMQ broker, which the CloudEvents project's own Python
    /// package follows.
    RabbitMq,
}

impl Binding {
    fn name(self, attribute: &str) -> String {
        match (self, attribute) {
            (Self::Http | Self::Kafka, "datacontenttype") => CONTENT_TYPE.to_owned(),
            (Self::Http | Self::Nats | Self::RabbitMq, _) => format!("ce-{attribute}"),
            (Self::Kafka, _) => format!("ce_{attribute}"),
            (Self::Amqp, _) => format!("cloudEvents_{attribute}"),
        }
    }

    /// The attribute that a header carries, where it carries one.
    fn attribute(self, header: &str) -> Option<Cow<'_, str>> {
        if header.eq_ignore_ascii_case(CONTENT_TYPE) && self != Self::Nats {
            return Some(Cow::Borrowed("datacontenttype"));
        }
        match self {
            Self::Http | Self::Nats => {
                let (prefix, name) = header.split_at_checked("ce-".len())?;
                prefix
                    .eq_ignore_ascii_case("ce-")
                    .then(|| Cow::Owned(name.to_ascii_lowercase()))
            }
            Self::Kafka => {
                header.strip_prefix("ce_").map(|name| Cow::Owned(name.to_owned()))
            }
            Self::Amqp | Self::RabbitMq => {
                let name = ["cloudEvents_", "cloudEvents:", "ce-"]
                    .iter()
                    .find_map(|prefix| header.strip_prefix(prefix));
                name.map(|name| Cow::Owned(name.to_owned()))
            }
        }
    }

    /// Whether a header carries an attribute.
    #[cfg(feature = "delivery")]
    pub(crate) fn has_attribute(self, header: &str) -> bool {
        self.attribute(header).is_some()
    }

    fn percent_encodes(self) -> bool {
        matches!(self, Self::Http | Self::Nats)
    }

    fn write(self, value: &str) -> Cow<'_, str> {
        let is_plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '%';
        if !self.percent_encodes() || value.chars().all(is_plain) {
            return Cow::Borrowed(value);
        }
        let mut written = String::with_capacity(value.len());
        for c in value.chars() {
            if is_plain(c) {
                written.push(c);
            } else {
                let mut room = [0; 4];
                c.encode_utf8(&mut room)
                    .bytes()
                    .for_each(|byte| written += &format!("%{byte:02X}"));
            }
        }
        Cow::Owned(written)
    }

    /// The value that a header was written from; `None` if its escapes are not UTF-8.
    fn read(self, value: &str) -> Option<Cow<'_, str>> {
        if !self.percent_encodes() {
            return Some(Cow::Borrowed(value));
        }
        unescaped(&unquoted(value.trim_matches([' ', '\t']))).map(Cow::Owned)
    }
}

const CONTENT_TYPE: &str = "content-type";

/// A value without the quotes that older versions of the standard allowed around it, RFC
/// 7230 section 3.2.6.
fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
    else {
        return Cow::Borrowed(value);
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        text.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    Cow::Owned(text)
}

impl CloudEvent {
    /// The attributes as headers of a message in binary mode; the message's body is
    /// [`data`](Self::data).
    ///
    /// The content type is among them, under the binding's own name, but for
    /// [`Binding::Amqp`] and [`Binding::RabbitMq`], where it is no header: there, set the
    /// message's property to [`content_type`](Self::content_type).
    ///
    /// ```
    /// use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
    ///     .id("evt 1".parse()?)
    ///     .build()?;
    /// let event = CloudEvent::of(&event);
    /// let find = |binding, name: &str| {
    ///     event
    ///         .headers(binding)
    ///         .find(|(key, _)| key == name)
    ///         .map(|(_, value)| value.into_owned())
    /// };
    /// assert_eq!(find(Binding::Http, "ce-id").as_deref(), Some("evt%201"));
    /// assert_eq!(find(Binding::Kafka, "ce_id").as_deref(), Some("evt 1"));
    /// assert_eq!(
    ///     find(Binding::Kafka, "content-type").as_deref(),
    ///     Some("application/json")
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn headers(
        &self,
        binding: Binding,
    ) -> impl Iterator<Item = (String, Cow<'_, str>)> {
        let has_property = matches!(binding, Binding::Amqp | Binding::RabbitMq);
        let is_header = move |name: &str| !has_property || name != "datacontenttype";
        let headers = self.attributes().filter(move |(name, _)| is_header(name));
        headers.map(move |(name, value)| match binding {
            Binding::Http if name == "datacontenttype" => {
                (binding.name(name), Cow::Borrowed(value))
            }
            _ => (binding.name(name), binding.write(value)),
        })
    }

    /// Reads a message in binary mode; headers that carry no attribute are ignored.
    ///
    /// Where the protocol has a property for the content type, as AMQP does, pass it as
    /// `content-type`. Pass values that are not text (a number, a time) in the standard's
    /// text form.
    ///
    /// # Errors
    ///
    /// [`ParseCloudEventError`], with the data given back: an attribute is missing, there
    /// twice, or not as the standard wants it, or the message is in structured mode.
    ///
    /// ```
    /// use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
    ///
    /// let headers = [
    ///     ("CE-SpecVersion", "1.0"),
    ///     ("CE-Id", "A234-1234-1234"),
    ///     ("CE-Source", "/cloudevents/spec/pull/123"),
    ///     ("CE-Type", "com.example.someevent"),
    ///     ("Content-Type", "application/json"),
    ///     ("Host", "example.com"),
    /// ];
    /// let event = CloudEvent::from_headers(Binding::Http, headers, b"{}".to_vec())?;
    /// assert_eq!(
    ///     (event.id(), event.source()),
    ///     ("A234-1234-1234", "/cloudevents/spec/pull/123")
    /// );
    /// assert_eq!(event.content_type(), Some("application/json"));
    ///
    /// let refused = CloudEvent::from_headers(Binding::Kafka, headers, b"{}".to_vec())
    ///     .unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "a CloudEvent has the attribute specversion, and this message has none"
    /// );
    /// assert_eq!(refused.into_value(), b"{}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_headers<'h>(
        binding: Binding,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
        data: Vec<u8>,
    ) -> Result<Self, Refused<Vec<u8>, ParseCloudEventError>> {
        match attributes(binding, headers) {
            Ok(attributes) => Ok(Self { attributes, data }),
            Err(cause) => Err(Refused::new(data, cause)),
        }
    }
}

fn attributes<'h>(
    binding: Binding,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
) -> Result<BTreeMap<String, String>, ParseCloudEventError> {
    let mut attributes = BTreeMap::new();
    for (header, value) in headers {
        let is_content_type = header.eq_ignore_ascii_case(CONTENT_TYPE);
        if is_content_type && is_structured(value) {
            return Err(ParseCloudEventError::Structured {
                content_type: value.to_owned(),
            });
        }
        let Some(name) = binding.attribute(header) else { continue };
        if !is_name(&name) {
            return Err(ParseCloudEventError::Name { found: name.into_owned() });
        }
        let read = if is_content_type {
            Some(Cow::Borrowed(value.trim()))
        } else {
            binding.read(value)
        };
        let Some(value) = read else {
            return Err(ParseCloudEventError::value(
                &name,
                "percent-encoded UTF-8",
                value,
            ));
        };
        let name = name.into_owned();
        match attributes.get(&name) {
            Some(known) if name == "datacontenttype" && *known == value => {}
            Some(_) => return Err(ParseCloudEventError::Twice { attribute: name }),
            None => {
                attributes.insert(name, value.into_owned());
            }
        }
    }
    super::check(&attributes)?;
    Ok(attributes)
}

fn is_structured(content_type: &str) -> bool {
    const PREFIX: &str = "application/cloudevents";
    content_type
        .trim()
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
