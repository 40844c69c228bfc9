//! `Serialize` and `Deserialize` for the erased forms, under the names that the guide's
//! chapter `as_data` lists.
//!
//! Never for a typed envelope: it would be a second door, past the checks. What has rules
//! of its own is read through its own constructor.

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

use crate::audit::{Action, AuditRecord};
use crate::retry::Backoff;
use crate::state::Pending;
use crate::sync::{
    Answer, Audited, Authority, Base, Choice, Contract, NonOwnerEdits, Question, Review,
    Rule, Shown, Side, Slot, Stamp, SyncConflict, Verdict, Write,
};
use crate::{
    AnyEnvelope, Decision, DeliveryStatus, Envelope, Event, EventId, Failure,
    FailureClass, Record, RetryPolicy,
};

assert_not_impl_any!(Envelope<Pending>: Serialize, DeserializeOwned);
assert_not_impl_any!(AnyEnvelope: Serialize, DeserializeOwned);

/// What is written as its text form, and read from it.
macro_rules! as_text {
    ($($type:ty),+) => {
        $(
            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                }
            }
        )+
    };
}

as_text!(EventId, DeliveryStatus, FailureClass, Action);

/// What is written and read in the form that stands beside it, which `serde` itself
/// checks against the type.
macro_rules! as_form {
    ($([$($param:ident)?] $type:ty, $form:ty;)+) => {
        $(
            impl<$($param: Serialize)?> Serialize for $type {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    <$form>::serialize(self, serializer)
                }
            }

            impl<'de, $($param: Deserialize<'de>)?> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    <$form>::deserialize(deserializer)
                }
            }
        )+
    };
}

as_form! {
    [] Failure, FailureForm;
    [] Backoff, BackoffForm;
    [] Authority, AuthorityForm;
    [] Rule, RuleForm;
    [] NonOwnerEdits, OthersForm;
    [] Verdict, VerdictForm;
    [] Question, QuestionForm;
    [] Stamp, StampForm;
    [T] Slot<T>, SlotForm<T>;
    [T] Base<T>, BaseForm<T>;
    [T] Choice<T>, ChoiceForm<T>;
    [T] Answer<T>, AnswerForm<T>;
    [T] Shown<T>, ShownForm<T>;
    [T] Review<T>, ReviewForm<T>;
    [T] Audited<T>, AuditedForm<T>;
    [T] Side<T>, SideForm<T>;
    [T] SyncConflict<T>, SyncConflictForm<T>;
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
#[serde(remote = "Authority", rename_all = "snake_case")]
enum AuthorityForm {
    System(String),
    Shared,
    Manual,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rule", rename_all = "snake_case")]
enum RuleForm {
    Owner(usize, NonOwnerEdits),
    Shared,
    Manual,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NonOwnerEdits", rename_all = "snake_case")]
enum OthersForm {
    Reject,
    Queue,
    Overwrite,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Verdict", rename_all = "snake_case")]
enum VerdictForm {
    Unread,
    Agreed(usize),
    Write(usize),
    Merge,
    Ask(Question),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Question", rename_all = "snake_case")]
enum QuestionForm {
    Conflict,
    Manual,
    BlankOwner,
    Proposal,
    Deletion,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stamp", rename_all = "snake_case")]
enum StampForm {
    Unknown,
    OfRecord(DateTime<Utc>),
    OfField(DateTime<Utc>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Slot", rename_all = "snake_case")]
enum SlotForm<T> {
    #[serde(rename = "not_kept")]
    Unsupported,
    Unread,
    Empty,
    Value(T),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Base", rename_all = "snake_case")]
enum BaseForm<T> {
    Never,
    Known(Option<T>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Choice", rename_all = "snake_case")]
enum ChoiceForm<T> {
    Side(usize),
    Other(Option<T>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Answer", deny_unknown_fields)]
struct AnswerForm<T> {
    #[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
    choice: Choice<T>,
    decision: Decision,
    /// What the person was shown: without it, an answer to an old question would pass for
    /// one to the present one.
    #[serde(
        default = "Option::default",
        bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>")
    )]
    seen: Option<Vec<(usize, Option<T>)>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Shown", deny_unknown_fields)]
struct ShownForm<V> {
    place: usize,
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    value: Option<V>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Review", deny_unknown_fields)]
struct ReviewForm<V> {
    record_id: String,
    field: Option<String>,
    question: Question,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    base: Base<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    sides: Vec<Shown<V>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Audited", deny_unknown_fields)]
struct AuditedForm<V> {
    record_id: String,
    field: String,
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    old: Option<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    new: Option<V>,
    decision: Decision,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", deny_unknown_fields)]
struct SideForm<V> {
    system: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    slot: Slot<V>,
    modified: Stamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SyncConflict", deny_unknown_fields)]
struct SyncConflictForm<V> {
    record_id: String,
    field: String,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    base: Base<V>,
    #[serde(bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
    sides: Vec<Side<V>>,
}

/// The row of a plan that says what is written where; it holds references, and so is only
/// written.
impl<T: Serialize> Serialize for Write<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a, T> {
            to: usize,
            value: Option<&'a T>,
            expects: Option<&'a T>,
            overrides_edit: bool,
        }

        let Self { to, value, expects, .. } = *self;
        Form { to, value, expects, overrides_edit: self.lost().is_some() }
            .serialize(serializer)
    }
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

/// The version of a form, which stands first in it; any other than ours is refused before
/// the rest is read.
struct Format;

const FORMAT: u32 = 1;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            found => Err(D::Error::custom(format_args!(
                "wanted data in format {FORMAT}, and found format {found}: read it with the version of this crate that \
                 wrote it, or a later one"
            ))),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractForm<'a> {
    format: Format,
    record_type: Cow<'a, str>,
    systems: Vec<Cow<'a, str>>,
    fields: Vec<FieldForm<'a>>,
    #[serde(default)]
    excluded: Vec<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldForm<'a> {
    name: Cow<'a, str>,
    authority: Cow<'a, Authority>,
    /// What the systems may do that do not own it; nothing where no system does.
    others: Option<NonOwnerEdits>,
}

impl Serialize for Contract {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let field = |name| Some((name, self.authority_for(name)?));
        let form = ContractForm {
            format: Format,
            record_type: self.record_type().into(),
            systems: self.systems().map(Cow::Borrowed).collect(),
            fields: (self.synced_fields().filter_map(field))
                .map(|(name, authority)| FieldForm {
                    name: name.into(),
                    authority: Cow::Borrowed(authority),
                    others: self.non_owner_edits_for(name),
                })
                .collect(),
            excluded: self.excluded_fields().map(Cow::Borrowed).collect(),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Contract {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ContractForm { format: Format, record_type, systems, fields, excluded } =
            ContractForm::deserialize(deserializer)?;
        let builder = systems
            .into_iter()
            .fold(Self::builder(record_type), |builder, name| builder.system(name));
        let builder = fields.into_iter().fold(builder, |builder, field| {
            let builder = builder.field(field.name.clone(), field.authority.into_owned());
            field.others.into_iter().fold(builder, |builder, others| {
                builder.non_owner_edits_for(field.name.clone(), others)
            })
        });
        let builder =
            excluded.into_iter().fold(builder, |builder, name| builder.excluded(name));
        builder.build().map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditForm<'a> {
    format: Format,
    event_id: Cow<'a, EventId>,
    event_type: Cow<'a, str>,
    source_system: Cow<'a, str>,
    correlation_id: Option<Cow<'a, str>>,
    schema_version: Cow<'a, str>,
    created_at: DateTime<Utc>,
    system: Cow<'a, str>,
    action: Action,
    status: DeliveryStatus,
    attempts: u32,
    failure: Option<Cow<'a, Failure>>,
    decision: Option<Cow<'a, Decision>>,
    at: DateTime<Utc>,
}

impl Serialize for AuditRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = AuditForm {
            format: Format,
            event_id: Cow::Borrowed(&self.event_id),
            event_type: self.event_type.as_str().into(),
            source_system: self.source_system.as_str().into(),
            correlation_id: self.correlation_id.as_deref().map(Cow::Borrowed),
            schema_version: self.schema_version.as_str().into(),
            created_at: self.created_at,
            system: self.system.as_str().into(),
            action: self.action,
            status: self.status,
            attempts: self.attempts,
            failure: self.failure.as_ref().map(Cow::Borrowed),
            decision: self.decision.as_ref().map(Cow::Borrowed),
            at: self.at,
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuditRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = AuditForm::deserialize(deserializer)?;
        Ok(Self {
            event_id: form.event_id.into_owned(),
            event_type: form.event_type.into_owned(),
            source_system: form.source_system.into_owned(),
            correlation_id: form.correlation_id.map(Cow::into_owned),
            schema_version: form.schema_version.into_owned(),
            created_at: form.created_at,
            system: form.system.into_owned(),
            action: form.action,
            status: form.status,
            attempts: form.attempts,
            failure: form.failure.map(Cow::into_owned),
            decision: form.decision.map(Cow::into_owned),
            at: form.at,
        })
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
