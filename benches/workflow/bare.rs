//! What a program by hand stores of an instance and of each of its steps, as text already.

use chrono::{DateTime, TimeDelta, Utc};
use integration_automation_patterns::EventId;

use super::table::CONTENT;

pub(crate) const INSERT: &str = "INSERT INTO workflow_instance (id, workflow, version, fingerprint, revision, status, step, \
     awaits, due_at, turn_at, round, data, begun_at, moved_at) \
     VALUES ($1, 'orders', 1, '0123456789abcdef', 1, 'awaiting', $2, $3, $4, $4, 1, $5, $6, $6)";

pub(crate) const FIND: &str =
    "SELECT revision, status, step, data FROM workflow_instance WHERE id = $1";

pub(crate) const UPDATE: &str = "UPDATE workflow_instance SET revision = $2, status = $3, step = $4, awaits = $5, due_at = $6, \
     turn_at = $6, data = $7, moved_at = $8 WHERE id = $1 AND revision = $2 - 1";

pub(crate) const JOURNAL: &str = "INSERT INTO workflow_journal (instance, entry, revision, at, what, step, status, to_step, \
     cause_source, cause_id, commands) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

pub(crate) const REMEMBER: &str = "INSERT INTO inbox_event (source_system, id, received_at, status, attempts) \
     VALUES ('erp', $1, $2, 'processed', 1) ON CONFLICT DO NOTHING";

/// The command's row; its last value is JSON, which each database has its own way to take.
pub(crate) fn send(json: &str) -> String {
    format!(
        "INSERT INTO outbox_event (id, event_type, source_system, schema_version, correlation_id, payload, ordering_key, \
         retry_policy, created_at, tags) VALUES ($1, $2, 'orders', '1.0', $3, $4, $5, '3 exponential 30s 3600s', $6, {json}) \
         ON CONFLICT (id) DO NOTHING"
    )
}

/// An instance, and how it moves.
pub(crate) struct Bare {
    pub(crate) id: String,
    pub(crate) now: DateTime<Utc>,
    pub(crate) ordering_key: String,
    pub(crate) tags: String,
    /// The begin, and the three replies.
    pub(crate) moves: Vec<Move>,
}

/// What a move leaves behind.
pub(crate) struct Move {
    pub(crate) revision: i64,
    pub(crate) what: &'static str,
    pub(crate) from: Option<&'static str>,
    pub(crate) status: &'static str,
    pub(crate) step: Option<&'static str>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) reply: Option<String>,
    pub(crate) command: Option<Command>,
    pub(crate) commands: String,
}

/// What leaves with it.
pub(crate) struct Command {
    pub(crate) id: String,
    pub(crate) event_type: &'static str,
    pub(crate) correlation: String,
}

impl Bare {
    pub(crate) fn new() -> Self {
        let (id, now) = (EventId::generate().to_string(), Utc::now());
        let steps = [
            ("reserve", "erp.stock.reserve"),
            ("create", "erp.order.create"),
            ("bill", "billing.invoice.issue"),
        ];
        let moves = (0..=steps.len()).map(|place| {
            let next = steps.get(place);
            let command = next.map(|(step, event_type)| Command {
                id: EventId::generate().to_string(),
                event_type,
                correlation: format!("orders/{id}/{step}/do"),
            });
            Move {
                revision: place as i64 + 1,
                what: if place == 0 { "started" } else { "done" },
                from: place.checked_sub(1).map(|before| steps[before].0),
                status: if next.is_some() { "awaiting" } else { "completed" },
                step: next.map(|(step, _)| *step),
                due_at: next.map(|_| now + TimeDelta::hours(1)),
                reply: (place > 0).then(|| EventId::generate().to_string()),
                commands: match &command {
                    Some(Command { id, .. }) => format!(r#"["{id}"]"#),
                    None => "[]".to_owned(),
                },
                command,
            }
        });
        Self {
            moves: moves.collect(),
            ordering_key: format!("orders/{id}"),
            tags: format!(r#"{{"begunat":"{}"}}"#, now.to_rfc3339()),
            id,
            now,
        }
    }

    /// The data, and the payload of each command.
    pub(crate) fn content(&self) -> &'static [u8] {
        CONTENT.as_bytes()
    }
}
