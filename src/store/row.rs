//! How an event stands in the columns of a table, whichever the database: the one place
//! that knows both forms.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::policy::{read_policy, write_policy};
use crate::envelope::WrongStateError;
use crate::state::State;
use crate::{AnyEnvelope, Decision, Envelope, EventId, Failure, Record, Refused};

/// The columns of a row that make up its event, in the order of [`Row`].
pub(crate) const EVENT_COLUMNS: &str = "sequence, id, event_type, source_system, schema_version, correlation_id, \
     payload, tags, ordering_key, retry_policy, created_at, status, attempts, failure_class, failure_reason, \
     failed_at, redriven_by, redriven_reason, redriven_at, discarded_by, discarded_reason, discarded_at";

/// How many they are.
#[cfg(feature = "sqlite")]
pub(crate) const EVENT_COLUMN_COUNT: usize = place("discarded_at").saturating_add(1);

/// Where a column stands among [`EVENT_COLUMNS`]. By `const { place(".") }` a row is read by
/// the names of its columns, and none is looked for while the program runs.
///
/// # Panics
///
/// When this is compiled, where there is no such column.
#[allow(clippy::panic, reason = "at compile time")]
pub(crate) const fn place(name: &str) -> usize {
    let (mut columns, mut place) = (EVENT_COLUMNS.as_bytes(), 0_usize);
    while !columns.is_empty() {
        if begins_with(columns, name.as_bytes()) {
            return place;
        }
        columns = after_comma(columns);
        place = place.saturating_add(1);
    }
    panic!("no such column of an event")
}

/// Where the three columns of a failure stand, and of each decision.
pub(crate) const FAILURE: [usize; 3] =
    [place("failure_class"), place("failure_reason"), place("failed_at")];
pub(crate) const REDRIVEN: [usize; 3] =
    [place("redriven_by"), place("redriven_reason"), place("redriven_at")];
pub(crate) const DISCARDED: [usize; 3] =
    [place("discarded_by"), place("discarded_reason"), place("discarded_at")];

/// Whether a name is the first of a list.
const fn begins_with(mut list: &[u8], mut name: &[u8]) -> bool {
    while let ([in_list, list_rest @ ..], [in_name, name_rest @ ..]) = (list, name) {
        if *in_list != *in_name {
            return false;
        }
        (list, name) = (list_rest, name_rest);
    }
    name.is_empty() && matches!(list, [] | [b',', ..])
}

/// A list without its first name.
const fn after_comma(mut list: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = list {
        list = rest;
        if *first == b' ' {
            break;
        }
    }
    list
}

/// An event as columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Given by the database, and 0 before.
    pub(crate) sequence: i64,
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) source_system: String,
    pub(crate) schema_version: String,
    pub(crate) correlation_id: Option<String>,
    pub(crate) payload: Vec<u8>,
    /// A JSON object of texts, without the ordering key.
    pub(crate) tags: String,
    pub(crate) ordering_key: Option<String>,
    pub(crate) retry_policy: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) status: String,
    pub(crate) attempts: i64,
    pub(crate) failure: Option<Said>,
    pub(crate) redriven: Option<Said>,
    pub(crate) discarded: Option<Said>,
}

/// The latest moment at which an event can be due: the end of the year 9999, which every
/// database can hold. One that waits for longer waits until then.
pub(crate) const LAST_DUE: DateTime<Utc> =
    match DateTime::from_timestamp_micros(253_402_300_799_999_999) {
        Some(last) => last,
        None => DateTime::<Utc>::MAX_UTC,
    };

/// A failure (its class, reason and time) or a decision (by whom, the reason and time).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) what: String,
    pub(crate) reason: String,
    pub(crate) at: DateTime<Utc>,
}

impl Said {
    /// Three columns, all of them or none.
    pub(crate) fn of(
        what: Option<String>,
        reason: Option<String>,
        at: Option<DateTime<Utc>>,
    ) -> Option<Self> {
        Some(Self { what: what?, reason: reason?, at: at? })
    }

    fn decision(decision: &Decision) -> Self {
        Self {
            what: decision.by().to_owned(),
            reason: decision.reason().to_owned(),
            at: decision.at(),
        }
    }
}

const ORDERING_KEY: &str = "ordering_key";

impl Row {
    pub(crate) fn of(event: &AnyEnvelope) -> Self {
        Self::of_record(event.to_record())
    }

    pub(crate) fn of_record(mut record: Record) -> Self {
        let ordering_key = record.tags.remove(ORDERING_KEY);
        Self {
            sequence: 0,
            id: record.id.to_string(),
            event_type: record.event_type.into_owned(),
            source_system: record.source_system.into_owned(),
            schema_version: record.schema_version.into_owned(),
            correlation_id: record.correlation_id,
            payload: record.payload,
            tags: write_tags(record.tags),
            ordering_key,
            retry_policy: write_policy(&record.retry_policy),
            created_at: record.created_at,
            status: record.status.as_str().to_owned(),
            attempts: i64::from(record.attempts),
            failure: record.failure.map(|failure| Said {
                what: failure.class.as_str().to_owned(),
                reason: failure.reason,
                at: failure.at,
            }),
            redriven: record.redriven.as_ref().map(Said::decision),
            discarded: record.discarded.as_ref().map(Said::decision),
        }
    }

    /// The event that the row describes.
    ///
    /// # Errors
    ///
    /// Why it is none, in words.
    pub(crate) fn read(self) -> Result<AnyEnvelope, String> {
        self.into_record()?.rehydrate().map_err(|refused| refused.to_string())
    }

    /// The event that the row describes, in a state that it must be in.
    ///
    /// # Errors
    ///
    /// Why it is none, or in which other state it is, in words.
    pub(crate) fn read_in<S: State>(self) -> Result<Envelope<S>, String>
    where
        AnyEnvelope: TryInto<Envelope<S>, Error = Refused<AnyEnvelope, WrongStateError>>,
    {
        self.read()?.try_into().map_err(|refused| refused.to_string())
    }

    pub(crate) fn into_record(self) -> Result<Record, String> {
        let mut tags = read_tags(&self.tags)?;
        if let Some(key) = self.ordering_key {
            tags.insert(ORDERING_KEY.to_owned(), key);
        }
        let decision = |said: Option<Said>| {
            said.map(|said| Decision::new_at(said.what, said.reason, said.at))
                .transpose()
                .map_err(|error| error.to_string())
        };
        let failure = |said: Said| {
            let class = said
                .what
                .parse()
                .map_err(|error: crate::state::UnknownNameError| error.to_string())?;
            Ok::<_, String>(Failure { class, reason: said.reason, at: said.at })
        };
        Ok(Record {
            id: EventId::try_from(self.id).map_err(|error| error.to_string())?,
            event_type: Cow::Owned(self.event_type),
            source_system: Cow::Owned(self.source_system),
            payload: self.payload,
            correlation_id: self.correlation_id,
            schema_version: Cow::Owned(self.schema_version),
            created_at: self.created_at,
            status: self
                .status
                .parse()
                .map_err(|error: crate::state::UnknownNameError| error.to_string())?,
            attempts: u32::try_from(self.attempts)
                .map_err(|_| format!("{} attempts are no count", self.attempts))?,
            retry_policy: read_policy(&self.retry_policy)?,
            tags,
            failure: self.failure.map(failure).transpose()?,
            redriven: decision(self.redriven)?,
            discarded: decision(self.discarded)?,
        })
    }
}

/// The labels of most events, as the schema says them too.
const NO_TAGS: &str = "{}";

/// A JSON object of texts, without the ordering key, which has a column of its own.
pub(crate) fn write_tags(mut tags: BTreeMap<String, String>) -> String {
    tags.remove(ORDERING_KEY);
    if tags.is_empty() {
        return NO_TAGS.to_owned();
    }
    let object = tags
        .into_iter()
        .map(|(key, value)| (key, serde_json::Value::String(value)))
        .collect();
    serde_json::Value::Object(object).to_string()
}

pub(crate) fn read_tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text == NO_TAGS {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(text).map_err(|error| {
        let found = match serde_json::from_str(text) {
            Ok(serde_json::Value::Object(object)) => {
                let other = object.iter().find(|(_, value)| !value.is_string());
                other.map_or_else(
                    || error.to_string(),
                    |(key, value)| format!("{value} under {key:?}"),
                )
            }
            Ok(other) => other.to_string(),
            Err(error) => format!("{text:?} ({error})"),
        };
        format!("tags are a JSON object of texts, and this row has {found}")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::super::policy::tests::policies;
    use super::*;
    use crate::RawEvent;

    /// A row would be read from the wrong columns.
    #[test]
    fn every_column_is_found_by_its_name() {
        for (at, name) in EVENT_COLUMNS.split(", ").enumerate() {
            assert_eq!(place(name), at, "{name}");
        }
        assert!(std::panic::catch_unwind(|| place("created")).is_err());
    }

    proptest! {
        #[test]
        fn an_event_reads_back(
            policy in policies(),
            tags: BTreeMap<String, String>,
            key: Option<String>,
            payload: Vec<u8>,
        ) {
            let payload = RawEvent::new("crm.lead.created", payload);
            let mut event = Envelope::builder("crm", payload).retry_policy(policy);
            for (name, value) in tags {
                event = event.tag(name, value);
            }
            let event = event.ordering_key(key.unwrap_or_default()).build().unwrap();
            let event = event.dispatch();
            let record = event.to_record();
            prop_assert_eq!(Row::of(&event.into()).into_record(), Ok(record));
        }
    }
}
