//! Structured mode: the whole event as one JSON object.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::attribute::{is_name, media_type};
use super::{CONTENT_TYPE, CloudEvent, ParseCloudEventError, check};

impl CloudEvent {
    /// The content type of a message in structured mode, as [`to_json`](Self::to_json)
    /// writes it.
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub const JSON: &'static str = "application/cloudevents+json";

    /// The event as one JSON object, for a message in structured mode.
    ///
    /// Data that is JSON by its content type stands in it unchanged, byte for byte; text
    /// and XML in UTF-8 as a JSON string; anything else as `data_base64`. Every attribute
    /// is a string.
    ///
    /// ```
    /// use integration_automation_patterns::cloudevents::CloudEvent;
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let lead = RawEvent::new("crm.lead.created", br#"{"lead": 7}"#);
    /// let event = Envelope::builder("crm", lead)
    ///     .id("evt-001".parse()?)
    ///     .build_at("2026-01-05T08:00:00Z".parse()?)?;
    /// let json = CloudEvent::of(&event).to_json();
    /// assert_eq!(
    ///     json,
    ///     [
    ///         r#"{"datacontenttype":"application/json","id":"evt-001","source":"crm","#,
    ///         r#""specversion":"1.0","time":"2026-01-05T08:00:00Z","#,
    ///         r#""type":"crm.lead.created","data":{"lead": 7}}"#,
    ///     ]
    ///     .concat()
    /// );
    /// assert_eq!(CloudEvent::from_json(json.as_bytes())?, CloudEvent::of(&event));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub fn to_json(&self) -> String {
        let mut members = Vec::new();
        for (name, value) in self.attributes() {
            members.push(format!("{}:{}", Value::from(name), Value::from(value)));
        }
        let kind = Kind::of(self.content_type());
        match (kind, str::from_utf8(&self.data)) {
            (_, Ok("")) => {}
            (Kind::Json, Ok(text)) if is_json(text) => {
                members.push(format!("\"data\":{text}"))
            }
            (Kind::Text, Ok(text)) => {
                members.push(format!("\"data\":{}", Value::from(text)))
            }
            _ => members
                .push(format!("\"data_base64\":\"{}\"", STANDARD.encode(&self.data))),
        }
        format!("{{{}}}", members.join(","))
    }

    /// Reads a message in structured mode.
    ///
    /// An attribute that is a whole number or a truth value is kept as the standard's own
    /// text for it. Data without a content type is JSON, and gets that content type.
    ///
    /// # Errors
    ///
    /// [`ParseCloudEventError`] if it is not a JSON object, or not an event by the
    /// standard's rules.
    ///
    /// ```
    /// use integration_automation_patterns::cloudevents::CloudEvent;
    ///
    /// let json = br#"{"specversion": "1.0", "id": "1", "source": "/orders",
    ///                 "type": "order.placed", "priority": 5, "data": [1, 2]}"#;
    /// let event = CloudEvent::from_json(json)?;
    /// assert_eq!(event.attribute("priority"), Some("5"));
    /// assert_eq!(event.content_type(), Some("application/json"));
    /// assert_eq!(event.data(), b"[1, 2]");
    ///
    /// let error = CloudEvent::from_json(b"{}").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "a CloudEvent has the attribute specversion, and this message has none"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
    pub fn from_json(json: &[u8]) -> Result<Self, ParseCloudEventError> {
        let Members(members) = serde_json::from_slice(json).map_err(|error| {
            // What `serde_json` says of another value than an object quotes it.
            let wrong = if error.is_data() {
                "it is not an object".to_owned()
            } else {
                error.to_string()
            };
            ParseCloudEventError::Json { wrong }
        })?;
        let mut attributes = BTreeMap::new();
        let (mut data, mut base64) = (None, None);
        for (name, raw) in members {
            let is_new = match &*name {
                "data" => data.replace(raw).is_none(),
                "data_base64" => base64.replace(raw).is_none(),
                attribute if !is_name(attribute) => {
                    return Err(ParseCloudEventError::Name { found: name });
                }
                attribute => match text(attribute, raw)? {
                    Some(value) => {
                        attributes.insert(attribute.to_owned(), value).is_none()
                    }
                    None => true,
                },
            };
            if !is_new {
                return Err(ParseCloudEventError::Twice { attribute: name });
            }
        }
        let data = read_data(data, base64, &mut attributes)?;
        check(&attributes)?;
        Ok(Self { attributes, data })
    }
}

/// The data, of either member; without a content type, that is stated too.
fn read_data(
    data: Option<&RawValue>,
    base64: Option<&RawValue>,
    attributes: &mut BTreeMap<String, String>,
) -> Result<Vec<u8>, ParseCloudEventError> {
    match (data, base64.filter(|raw| raw.get() != "null")) {
        (Some(_), Some(_)) => {
            let wrong = "it has both data and data_base64, and has one of them at most"
                .to_owned();
            Err(ParseCloudEventError::Json { wrong })
        }
        (None, None) => Ok(Vec::new()),
        (None, Some(raw)) => {
            let bytes =
                string(raw).and_then(|text| STANDARD.decode(text.as_bytes()).ok());
            bytes.ok_or_else(|| {
                ParseCloudEventError::value("data_base64", "a text in base64", "")
            })
        }
        (Some(raw), None) => {
            let stated = attributes
                .entry(CONTENT_TYPE.to_owned())
                .or_insert_with(|| "application/json".to_owned());
            match (Kind::of(Some(stated)), string(raw)) {
                (Kind::Json, _) => Ok(raw.get().as_bytes().to_vec()),
                (_, Some(text)) if text.is_ascii() || is_utf8(stated) => {
                    Ok(text.into_bytes())
                }
                (_, None) if raw.get() == "null" => Ok(Vec::new()),
                _ => {
                    let wanted = "a text, where datacontenttype is not JSON, and ASCII \
                                  where its charset is not UTF-8";
                    Err(ParseCloudEventError::value("data", wanted, ""))
                }
            }
        }
    }
}

/// How data stand in JSON, by their content type.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Text,
    Bytes,
}

impl Kind {
    fn of(content_type: Option<&str>) -> Self {
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        let (main, sub) = media_type(&content_type).split_once('/').unwrap_or_default();
        if sub == "json" || sub.ends_with("+json") {
            Self::Json
        } else if is_utf8(&content_type)
            && (main == "text" || sub == "xml" || sub.ends_with("+xml"))
        {
            Self::Text
        } else {
            Self::Bytes
        }
    }
}

/// Whether text of this content type is in UTF-8, as is all text without a charset.
fn is_utf8(content_type: &str) -> bool {
    let mut parameters =
        content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let charset =
        parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charset.is_none_or(|(_, charset)| {
        let charset = charset.trim_matches([' ', '"']);
        charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
    })
}

/// Whether a text is one JSON value, with no blank before or behind it that reading would
/// lose.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len())
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// The standard's own text for the value of an attribute; nothing for `null`, which is as
/// if it were not there.
fn text(name: &str, raw: &RawValue) -> Result<Option<String>, ParseCloudEventError> {
    const TEXTS: [&str; 8] = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "dataschema",
        CONTENT_TYPE,
    ];
    let is_text = TEXTS.contains(&name);
    match serde_json::from_str(raw.get()) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Bool(truth)) if !is_text => Ok(Some(truth.to_string())),
        Ok(Value::Number(number)) if !is_text && raw.get().parse::<i32>().is_ok() => {
            Ok(Some(number.to_string()))
        }
        _ if is_text => Err(ParseCloudEventError::value(name, "a text", "")),
        _ => Err(ParseCloudEventError::value(
            name,
            "a text, a truth value or a whole number of 32 bits",
            "",
        )),
    }
}

/// The members of a JSON object, as they stand there: none is lost where a name stands
/// there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
