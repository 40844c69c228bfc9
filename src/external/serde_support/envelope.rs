//! Events, and what has happened to them: ids, records, policies, failures, decisions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use static_assertions::assert_not_impl_any;

use super::{Format, as_form, as_text};
use crate::retry::Backoff;
use crate::state::Pending;
use crate::{
    AnyEnvelope, Decision, DeliveryStatus, Envelope, Event, EventId, Failure,
    FailureClass, Record, RetryPolicy,
};

assert_not_impl_any!(Envelope<Pending>: Serialize, DeserializeOwned);
assert_not_impl_any!(AnyEnvelope: Serialize, DeserializeOwned);

as_text!(EventId, DeliveryStatus, FailureClass);

as_form! {
    [] Failure, FailureForm;
    [] Backoff, BackoffForm;
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure", deny_unknown_fields)]
struct FailureForm {
    class: FailureClass,
    reason: String,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Backoff", rename_all = "snake_case")]
enum BackoffForm {
    Fixed(Duration),
    Exponential { base: Duration, max: Duration },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionForm<'a> {
    by: Cow<'a, str>,
    reason: Cow<'a, str>,
    at: DateTime<Utc>,
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DecisionForm { by: self.by().into(), reason: self.reason().into(), at: self.at() }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let DecisionForm { by, reason, at } = DecisionForm::deserialize(deserializer)?;
        Self::new_at(by, reason, at).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryPolicyForm {
    max_attempts: u32,
    backoff: Backoff,
    #[serde(default)]
    full_jitter: bool,
    #[serde(default)]
    time_limit: Option<Duration>,
}

impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = RetryPolicyForm {
            max_attempts: self.max_attempts(),
            backoff: self.backoff(),
            full_jitter: self.has_full_jitter(),
            time_limit: self.time_limit(),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RetryPolicyForm { max_attempts, backoff, full_jitter, time_limit } =
            RetryPolicyForm::deserialize(deserializer)?;
        let policy = Self::new(max_attempts, backoff).map_err(D::Error::custom)?;
        let policy = if full_jitter { policy.with_full_jitter() } else { policy };
        Ok(time_limit.map_or(policy, |limit| policy.give_up_after(limit)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordForm<'a, P> {
    format: Format,
    id: Cow<'a, EventId>,
    event_type: Cow<'a, str>,
    source_system: Cow<'a, str>,
    payload: P,
    correlation_id: Option<Cow<'a, str>>,
    schema_version: Cow<'a, str>,
    created_at: DateTime<Utc>,
    status: DeliveryStatus,
    attempts: u32,
    retry_policy: RetryPolicy,
    #[serde(default)]
    tags: Cow<'a, BTreeMap<String, String>>,
    failure: Option<Cow<'a, Failure>>,
    redriven: Option<Cow<'a, Decision>>,
    discarded: Option<Cow<'a, Decision>>,
}

impl<'a, P> RecordForm<'a, P> {
    fn of<B>(record: &'a Record<B>, payload: P) -> Self {
        Self {
            format: Format,
            id: Cow::Borrowed(&record.id),
            event_type: record.event_type.as_ref().into(),
            source_system: record.source_system.as_ref().into(),
            payload,
            correlation_id: record.correlation_id.as_deref().map(Cow::Borrowed),
            schema_version: record.schema_version.as_ref().into(),
            created_at: record.created_at,
            status: record.status,
            attempts: record.attempts,
            retry_policy: record.retry_policy,
            tags: Cow::Borrowed(&record.tags),
            failure: record.failure.as_ref().map(Cow::Borrowed),
            redriven: record.redriven.as_ref().map(Cow::Borrowed),
            discarded: record.discarded.as_ref().map(Cow::Borrowed),
        }
    }

    fn into_record<B>(self, payload: impl FnOnce(P) -> B) -> Record<B> {
        Record {
            id: self.id.into_owned(),
            event_type: self.event_type.into_owned().into(),
            source_system: self.source_system.into_owned().into(),
            payload: payload(self.payload),
            correlation_id: self.correlation_id.map(Cow::into_owned),
            schema_version: self.schema_version.into_owned().into(),
            created_at: self.created_at,
            status: self.status,
            attempts: self.attempts,
            retry_policy: self.retry_policy,
            tags: self.tags.into_owned(),
            failure: self.failure.map(Cow::into_owned),
            redriven: self.redriven.map(Cow::into_owned),
            discarded: self.discarded.map(Cow::into_owned),
        }
    }
}

/// A record of bytes: its payload is a text in base64 where people read the format, and
/// bytes elsewhere.
impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RecordForm::of(self, Bytes(Cow::Borrowed(&self.payload))).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(RecordForm::<Bytes<'_>>::deserialize(deserializer)?
            .into_record(|Bytes(bytes)| bytes.into_owned()))
    }
}

/// A record of a typed payload: the payload in its own form.
impl<P: Event + Serialize> Serialize for Record<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RecordForm::of(self, &self.payload).serialize(serializer)
    }
}

impl<'de, P: Event + Deserialize<'de>> Deserialize<'de> for Record<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(RecordForm::<P>::deserialize(deserializer)?.into_record(|payload| payload))
    }
}

struct Bytes<'a>(Cow<'a, [u8]>);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a payload: a text in base64, or bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
                STANDARD.decode(text).map_err(|error| {
                    E::custom(format_args!("the payload is no base64: {error}"))
                })
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut bytes: A,
            ) -> Result<Vec<u8>, A::Error> {
                let mut read = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    read.push(byte);
                }
                Ok(read)
            }
        }

        let bytes = if deserializer.is_human_readable() {
            deserializer.deserialize_str(Reader)
        } else {
            deserializer.deserialize_byte_buf(Reader)
        };
        Ok(Self(Cow::Owned(bytes?)))
    }
}
