//! A report as JSON: one document, or one for each line where there are many things to
//! list. Times are RFC 3339 in UTC, spans are seconds, and what there is none of is
//! `null`.
//!
//! | command | each line |
//! |---|---|
//! | `counts` | `by_status`, `under_way`, `total`, `oldest_due_seconds`, `by_attempts` (of what is not done) |
//! | `list`, `inbox list` | `id`, `type`, `source`, `attempts`, `class`, `reason`, `failed_at`, `first_sent_at`, `created_at`, `correlation_id`, `ordering_key`; or `id`, `unreadable` |
//! | `inbox counts` | `by_status`, `stalled`, `held`; with `--broker`, `lag` (each with `of`, `behind`, `held_back`, `waits_for`) |
//! | `inbox stalled` | `id`, `type`, `source`, `attempts`, `reason`, `received_at`, `created_at`, `ordering_key` |
//! | `inbox held` | `id`, `type`, `source`, `attempts`, `after`, `due_at`, `reason`, `received_at`, `created_at`, `ordering_key` |
//! | `waiting` | `id`, `type`, `source`, `status`, `attempts`, `due_at`, `claimed_by`, `behind`, `reason`, `ordering_key` |
//! | `show`, `inbox show` | `id`, `type`, `source`, `schema_version`, `status`, `attempts`, `max_attempts`, `created_at`, `correlation_id`, `ordering_key`, `tags`, `failure`, `redriven`, `discarded`, `moments`; with `--payload`, `payload`, or `payload_base64` where it is no UTF-8 |
//! | `redrive`, `discard`, `inbox discard` | `id`, `outcome` (`redriven`, `refused`, `discarded`, `unreadable`), `why` |
//! | `purge` | `removed` |
//! | `verify` | `balanced`, `findings` (each with `event`, `what`) |
//! | `migrate` | `part`, `found`, `now` (versions of its tables) |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use integration_automation_patterns::broker::Lag;
use integration_automation_patterns::inbox::{Held, Stalled};
use integration_automation_patterns::outbox::{
    Counts, DeadLetter, Finding, HistoryEntry, Waiting,
};
use integration_automation_patterns::{AnyEnvelope, Decision, DeliveryStatus, Failure};
use serde_json::{Value, json};

use crate::json_line::{lines, time};
use crate::report::{Migrated, Report, Torn};

pub(crate) fn write(report: &Report) -> String {
    let documents = match report {
        Report::Counts(found) => vec![counts(found)],
        Report::Dead { letters, unreadable, .. } => {
            let torn = |torn: &Torn| json!({"id": torn.id, "unreadable": torn.why});
            letters.iter().map(dead_letter).chain(unreadable.iter().map(torn)).collect()
        }
        Report::Waiting { events, .. } => events.iter().map(waiting).collect(),
        Report::InboxCounts { counts, lag } => {
            let lag = lag.as_ref().and_then(|lag| lag.as_ref().ok());
            let lag = lag.map(|lag| lag.iter().map(behind).collect::<Vec<_>>());
            vec![
                json!({"by_status": by_status(|status| counts.of(status)), "stalled": counts.stalled, "held": counts.held, "forestalled": counts.forestalled, "lag": lag}),
            ]
        }
        Report::Stalled { events, .. } => events.iter().map(stalled).collect(),
        Report::Held { events, .. } => events.iter().map(held).collect(),
        Report::Event { event, moments, with_payload } => {
            vec![show(event, moments, *with_payload)]
        }
        Report::Remembered { id, remembered } => vec![
            json!({"id": id.to_string(), "status": remembered.status.to_string(), "attempts": remembered.attempts, "received_at": time(remembered.received_at)}),
        ],
        Report::NoneSuch { .. } => Vec::new(),
        Report::Decided { decided, unreadable } => {
            let torn = |torn: &Torn| json!({"id": torn.id, "outcome": "unreadable", "why": torn.why});
            let done = decided
                .iter()
                .map(|(id, outcome)| json!({"id": id.to_string(), "outcome": outcome.name(), "why": outcome.why()}));
            done.chain(unreadable.iter().map(torn)).collect()
        }
        Report::Migrated(parts) => {
            let part = |one: &Migrated| json!({"part": one.part, "found": one.found, "now": one.now});
            parts.iter().map(part).collect()
        }
        Report::Purged(removed) => vec![json!({"removed": removed})],
        Report::Verified(findings) => {
            let finding =
                |finding: &Finding| json!({"event": finding.event, "what": finding.what});
            let list: Vec<Value> = findings.iter().map(finding).collect();
            vec![json!({"balanced": findings.is_empty(), "findings": list})]
        }
    };
    lines(&documents)
}

fn by_status(count: impl Fn(DeliveryStatus) -> u64) -> Value {
    DeliveryStatus::ALL
        .iter()
        .map(|status| (status.to_string(), count(*status).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn behind(lag: &Lag) -> Value {
    json!({"of": lag.of, "behind": lag.behind, "held_back": lag.held_back, "waits_for": lag.waits_for})
}

fn stalled(stalled: &Stalled) -> Value {
    let event = &stalled.event;
    json!({
        "id": event.id().to_string(),
        "type": event.event_type(),
        "source": event.source_system(),
        "attempts": event.attempts(),
        "reason": event.failure().map(|failure| &failure.reason),
        "received_at": time(stalled.received_at),
        "created_at": time(event.created_at()),
        "ordering_key": event.ordering_key(),
    })
}

fn held(held: &Held) -> Value {
    let event = &held.event;
    json!({
        "id": event.id().to_string(),
        "type": event.event_type(),
        "source": event.source_system(),
        "attempts": event.attempts(),
        "after": held.after.as_ref().map(ToString::to_string),
        "due_at": time(held.due_at),
        "reason": held.reason,
        "received_at": time(held.received_at),
        "created_at": time(event.created_at()),
        "ordering_key": event.ordering_key(),
    })
}

fn counts(counts: &Counts) -> Value {
    let by_attempts = counts
        .by_attempts
        .iter()
        .map(|(attempts, count)| (attempts.to_string(), (*count).into()));
    json!({
        "by_status": by_status(|status| counts.of(status)),
        "under_way": counts.under_way(),
        "total": counts.total(),
        "oldest_due_seconds": counts.oldest_due.map(|age| age.as_secs()),
        "by_attempts": Value::Object(by_attempts.collect()),
    })
}

fn dead_letter(letter: &DeadLetter) -> Value {
    let event = &letter.event;
    json!({
        "id": event.id().to_string(),
        "type": event.event_type(),
        "source": event.source_system(),
        "attempts": event.attempts(),
        "class": event.failure().map(|failure| failure.class.as_str()),
        "reason": event.failure().map(|failure| &failure.reason),
        "failed_at": event.failure().map(|failure| time(failure.at)),
        "first_sent_at": letter.first_sent_at.map(time),
        "created_at": time(event.created_at()),
        "correlation_id": event.correlation_id(),
        "ordering_key": event.ordering_key(),
    })
}

fn waiting(waiting: &Waiting) -> Value {
    let event = &waiting.event;
    json!({
        "id": event.id().to_string(),
        "type": event.event_type(),
        "source": event.source_system(),
        "status": event.status().as_str(),
        "attempts": event.attempts(),
        "due_at": time(waiting.due_at),
        "claimed_by": waiting.claimed_by,
        "behind": waiting.behind.as_ref().map(ToString::to_string),
        "reason": event.failure().map(|failure| &failure.reason),
        "ordering_key": event.ordering_key(),
    })
}

fn show(event: &AnyEnvelope, moments: &[HistoryEntry], with_payload: bool) -> Value {
    let failure = |failure: &Failure| json!({"class": failure.class.as_str(), "reason": failure.reason, "at": time(failure.at)});
    let decision = |said: &Decision| json!({"by": said.by(), "reason": said.reason(), "at": time(said.at())});
    let moment = |moment: &HistoryEntry| {
        json!({
            "at": time(moment.at),
            "action": moment.action.as_str(),
            "by": moment.by,
            "status": moment.status.as_str(),
            "attempts": moment.attempts,
            "reason": moment.reason,
        })
    };
    let mut document = json!({
        "id": event.id().to_string(),
        "type": event.event_type(),
        "source": event.source_system(),
        "schema_version": event.schema_version(),
        "status": event.status().as_str(),
        "attempts": event.attempts(),
        "max_attempts": event.retry_policy().max_attempts(),
        "created_at": time(event.created_at()),
        "correlation_id": event.correlation_id(),
        "ordering_key": event.ordering_key(),
        "tags": event.tags(),
        "failure": event.failure().map(failure),
        "redriven": event.redriven().map(decision),
        "discarded": event.discarded().map(decision),
        "moments": moments.iter().map(moment).collect::<Vec<_>>(),
    });
    if with_payload && let Value::Object(object) = &mut document {
        let bytes = event.payload().bytes();
        match str::from_utf8(bytes) {
            Ok(text) => object.insert("payload".to_owned(), text.into()),
            Err(_) => {
                object.insert("payload_base64".to_owned(), STANDARD.encode(bytes).into())
            }
        };
    }
    document
}
