//! Audit records, as JSON lines and data of any format.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Format, as_text};
use crate::audit::{Action, AuditRecord};
use crate::{Decision, DeliveryStatus, EventId, Failure};

as_text!(Action);

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
