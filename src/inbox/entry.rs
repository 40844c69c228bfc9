//! A row of the inbox: the event, and what only an inbox knows of it.

use chrono::{DateTime, Utc};

use crate::store::Row;
use crate::{DeliveryStatus, Failure, FailureClass, Record};

/// Why an attempt failed whose end nobody saw, in the words that people read.
pub(crate) const NEVER_ENDED: &str = "the consumer ended before its effect did";

/// What the inbox has of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    pub(crate) last_attempt: LastAttempt,
    /// When a worker looks at it again, if the inbox holds it. To write one changes
    /// nothing of an event that the inbox does not hold.
    pub(crate) due_at: Option<DateTime<Utc>>,
}

/// The state of the last attempt. The reason of a failure is for people: a handler may
/// say the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastAttempt {
    /// It ended, and counts.
    Ended,
    /// It has begun, and nobody has seen its end.
    Begun,
    /// It was about to share a transaction, and nobody has seen its end. Any of those in
    /// the transaction may be why, so it counts once the event ends a process alone.
    Shared,
    /// It has begun alone after a shared one with the same number, and nobody has seen
    /// either end: both count.
    Alone,
    /// It does not count: the next one has the same number.
    Uncounted,
    /// There was none: the configuration does not name the event.
    Unknown,
    /// None follows: the event was forestalled before it had an effect.
    Forestalled,
    /// None follows: the event was forestalled when it may have had an effect and been
    /// purged.
    Forgotten,
}

impl LastAttempt {
    /// As the column holds it.
    pub(crate) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Ended => None,
            Self::Begun => Some("begun"),
            Self::Shared => Some("shared"),
            Self::Alone => Some("alone"),
            Self::Uncounted => Some("uncounted"),
            Self::Unknown => Some("unknown"),
            Self::Forestalled => Some("forestalled"),
            Self::Forgotten => Some("forgotten"),
        }
    }

    /// Reads the column, which admits no other text.
    pub(crate) fn read(column: Option<&str>) -> Self {
        match column {
            Some("begun") => Self::Begun,
            Some("shared") => Self::Shared,
            Some("alone") => Self::Alone,
            Some("uncounted") => Self::Uncounted,
            Some("unknown") => Self::Unknown,
            Some("forestalled") => Self::Forestalled,
            Some("forgotten") => Self::Forgotten,
            _ => Self::Ended,
        }
    }
}

impl Entry {
    /// An event whose last attempt has ended.
    pub(crate) const fn ended(row: Row) -> Self {
        Self { row, last_attempt: LastAttempt::Ended, due_at: None }
    }

    /// An event as an attempt of it begins. It stays so if the attempt never ends.
    pub(crate) fn begun(record: Record, at: DateTime<Utc>) -> Self {
        let failure = Failure {
            class: FailureClass::Transient,
            reason: NEVER_ENDED.to_owned(),
            at,
        };
        let record =
            Record { status: DeliveryStatus::Retrying, failure: Some(failure), ..record };
        let row = Row::of_record(record);
        Self { row, last_attempt: LastAttempt::Begun, due_at: None }
    }

    /// Whether it still shows this attempt as begun.
    pub(crate) fn is_begun(&self, attempts: i64) -> bool {
        self.last_attempt == LastAttempt::Begun && self.row.attempts == attempts
    }
}

/// The columns that a write sets, in the order of its values.
const WRITTEN: [&str; 22] = [
    "source_system",
    "id",
    "status",
    "attempts",
    "event_type",
    "schema_version",
    "correlation_id",
    "payload",
    "tags",
    "ordering_key",
    "retry_policy",
    "created_at",
    "failure_class",
    "failure_reason",
    "failed_at",
    "redriven_by",
    "redriven_reason",
    "redriven_at",
    "discarded_by",
    "discarded_reason",
    "discarded_at",
    "last_attempt",
];

/// How a database spells the statement that writes an entry.
pub(crate) struct Spelling {
    /// What a parameter begins with.
    pub(crate) mark: char,
    /// What converts the text of the tags.
    pub(crate) tags: &'static str,
    /// The time of the database, if the column has no default.
    pub(crate) received_at: Option<&'static str>,
}

impl Spelling {
    /// The statement that stores an event, new or known. Its values are the columns of
    /// [`WRITTEN`], and then when a held event is due.
    pub(crate) fn write(&self) -> String {
        let Self { mark, tags, received_at } = self;
        let value = |(place, name): (usize, &&str)| {
            let convert = if *name == "tags" { tags } else { "" };
            format!("{mark}{}{convert}", place.saturating_add(1))
        };
        let values: Vec<String> = WRITTEN.iter().enumerate().map(value).collect();
        let set = WRITTEN.iter().zip(&values).skip(2);
        let set: Vec<String> =
            set.map(|(name, value)| format!("{name} = {value}")).collect();
        let (received, now) = match received_at {
            Some(now) => (", received_at", format!(", {now}")),
            None => ("", String::new()),
        };
        format!(
            "INSERT INTO inbox_event ({}{received}) VALUES ({}{now}) \
             ON CONFLICT (source_system, id) DO UPDATE SET {}, held_after = NULL, \
             due_at = CASE WHEN {mark}3 = 'retrying' AND inbox_event.due_at IS NOT NULL \
             THEN coalesce({mark}{}, inbox_event.due_at) END",
            WRITTEN.join(", "),
            values.join(", "),
            set.join(", "),
            WRITTEN.len().saturating_add(1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attempt would be counted twice, or never.
    #[test]
    fn a_last_attempt_reads_back() {
        for last in [
            LastAttempt::Ended,
            LastAttempt::Begun,
            LastAttempt::Shared,
            LastAttempt::Alone,
            LastAttempt::Uncounted,
            LastAttempt::Unknown,
            LastAttempt::Forestalled,
            LastAttempt::Forgotten,
        ] {
            assert_eq!(LastAttempt::read(last.as_str()), last);
        }
    }
}
