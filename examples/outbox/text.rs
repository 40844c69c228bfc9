//! A report for people: aligned tables without colours, and nothing in them that a
//! terminal would obey.

use std::time::Duration;

use integration_automation_patterns::broker::Lag;
use integration_automation_patterns::inbox::{self, Held, Stalled};
use integration_automation_patterns::outbox::{
    Counts, DeadLetter, HistoryEntry, RedriveOutcome, Waiting,
};
use integration_automation_patterns::{AnyEnvelope, DeliveryStatus};

use crate::columns::{Left, Right, push, rows, table, time};
use crate::report::{Outcome, Report, Torn};
use crate::terminal::printable;

pub(crate) fn write(report: &Report) -> String {
    match report {
        Report::Counts(found) => counts(found),
        Report::Dead { letters, unreadable, .. } => dead(letters, unreadable),
        Report::Waiting { events, .. } => waiting(events),
        Report::InboxCounts { counts, lag } => {
            inbox_counts(counts, lag.as_ref().and_then(|lag| lag.as_deref().ok()))
        }
        Report::Stalled { events, .. } => stalled(events),
        Report::Held { events, .. } => held(events),
        Report::Event { event, moments, with_payload } => {
            show(event, moments, *with_payload)
        }
        Report::Remembered { id, remembered } => {
            let fact = |name: &str, value: String| [name.to_owned(), value];
            let facts = vec![
                fact("id", id.to_string()),
                fact("status", remembered.status.to_string()),
                fact("attempts", remembered.attempts.to_string()),
                fact("received", time(remembered.received_at)),
            ];
            rows([Left; 2], facts)
        }
        Report::NoneSuch { .. } => String::new(),
        Report::Decided { decided, unreadable } => {
            let named = |name: &str| {
                decided.iter().filter(|(_, outcome)| outcome.name() == name).count()
            };
            let rows = decided.iter().map(|(id, outcome)| {
                [id.to_string(), outcome.name().to_owned(), why(outcome)]
            });
            let rows = rows.chain(unreadable.iter().map(|torn| {
                [torn.id.clone(), "unreadable".to_owned(), torn.why.clone()]
            }));
            let mut text = table(["id", "outcome", "why"], [Left; 3], rows.collect());
            let of_redrives =
                decided.iter().any(|(_, outcome)| matches!(outcome, Outcome::Redrive(_)));
            let (redriven, refused, discarded) =
                (named("redriven"), named("refused"), named("discarded"));
            let sum = if of_redrives {
                format!("{redriven} redriven, {refused} refused")
            } else {
                format!("{discarded} discarded")
            };
            let torn = if unreadable.is_empty() {
                String::new()
            } else {
                format!(", {} unreadable", unreadable.len())
            };
            push(
                &mut text,
                &if decided.is_empty() && torn.is_empty() {
                    "nothing to decide".to_owned()
                } else {
                    sum + &torn
                },
            );
            text
        }
        Report::Purged(removed) => format!("{removed} removed\n"),
        Report::Migrated(parts) => {
            let rows = parts.iter().map(|one| {
                [one.part.clone(), one.found.to_string(), one.now.to_string()]
            });
            table(["tables", "found", "now"], [Left, Right, Right], rows.collect())
        }
        Report::Verified(findings) if findings.is_empty() => {
            "nothing is wrong\n".to_owned()
        }
        Report::Verified(findings) => {
            let rows = findings
                .iter()
                .map(|finding| [finding.event.clone(), finding.what.clone()])
                .collect();
            let mut text = table(["event", "what is wrong"], [Left; 2], rows);
            push(&mut text, &format!("{} found", findings.len()));
            text
        }
    }
}

fn counts(counts: &Counts) -> String {
    let row = |name: &str, count: u64| [name.to_owned(), count.to_string()];
    let states =
        DeliveryStatus::ALL.iter().map(|status| row(status.as_str(), counts.of(*status)));
    let sums = [row("under way", counts.under_way()), row("total", counts.total())];
    let mut text =
        table(["status", "events"], [Left, Right], states.chain(sums).collect());
    let oldest = counts.oldest_due.map_or_else(
        || "nothing is due".to_owned(),
        |age| format!("for {}", in_words(age)),
    );
    push(&mut text, &format!("\noldest due: {oldest}\n"));
    let most = counts.by_attempts.values().max().copied().unwrap_or(0);
    let rows = counts.by_attempts.iter().map(|(attempts, count)| {
        [attempts.to_string(), count.to_string(), bar(*count, most)]
    });
    text.push_str(&table(
        ["attempts", "events", "of what is not done"],
        [Right, Right, Left],
        rows.collect(),
    ));
    text
}

fn inbox_counts(counts: &inbox::Counts, lag: Option<&[Lag]>) -> String {
    let states =
        DeliveryStatus::ALL.iter().map(|status| (status.as_str(), counts.of(*status)));
    let waiting = [
        ("stalled", counts.stalled),
        ("held", counts.held),
        ("forestalled", counts.forestalled),
    ];
    let rows = states.filter(|(_, count)| *count > 0).chain(waiting);
    let rows = rows.map(|(name, count)| [name.to_owned(), count.to_string()]).collect();
    let mut text = table(["status", "events"], [Left, Right], rows);
    let Some(lag) = lag else { return text };
    let row = |lag: &Lag| {
        let waits_for = lag.waits_for.unwrap_or_default().to_owned();
        [lag.of.clone(), lag.behind.to_string(), lag.held_back.to_string(), waits_for]
    };
    let header = ["what is read", "behind", "held back", "by"];
    text.push('\n');
    text.push_str(&table(
        header,
        [Left, Right, Right, Left],
        lag.iter().map(row).collect(),
    ));
    text
}

fn stalled(events: &[Stalled]) -> String {
    if events.is_empty() {
        return "nothing is stalled\n".to_owned();
    }
    let rows = events.iter().map(|stalled| {
        let event = &stalled.event;
        let reason =
            event.failure().map_or_else(String::new, |failure| failure.reason.clone());
        let (what, source) =
            (event.event_type().to_owned(), event.source_system().to_owned());
        [
            event.id().to_string(),
            what,
            source,
            event.attempts().to_string(),
            time(stalled.received_at),
            reason,
        ]
    });
    let header = ["id", "type", "source", "attempts", "received", "reason"];
    table(header, [Left, Left, Left, Right, Left, Left], rows.collect())
}

fn held(events: &[Held]) -> String {
    if events.is_empty() {
        return "nothing is held\n".to_owned();
    }
    let rows = events.iter().map(|held| {
        let event = &held.event;
        [
            event.id().to_string(),
            event.event_type().to_owned(),
            event.source_system().to_owned(),
            event.ordering_key().unwrap_or_default().to_owned(),
            held.after.as_ref().map(ToString::to_string).unwrap_or_default(),
            time(held.due_at),
            held.reason.clone(),
        ]
    });
    let header = ["id", "type", "source", "key", "waits for", "due", "reason"];
    table(header, [Left; 7], rows.collect())
}

/// Why a redrive was refused, and what can be done about it.
fn why(outcome: &Outcome) -> String {
    let Outcome::Redrive(RedriveOutcome::Refused(refused)) = outcome else {
        return String::new();
    };
    format!(
        "first sent {}, new attempts may take {}, consumers remember for {}: it could take effect twice",
        time(refused.first_sent_at),
        in_words(refused.horizon),
        in_words(refused.dedup_window)
    )
}

/// A bar of up to 30 marks, and one for the least.
fn bar(count: u64, most: u64) -> String {
    let length = u128::from(count)
        .saturating_mul(30)
        .checked_div(u128::from(most))
        .unwrap_or(0)
        .max(1);
    "#".repeat(usize::try_from(length).unwrap_or(1))
}

fn dead(letters: &[DeadLetter], unreadable: &[Torn]) -> String {
    let mut text = String::new();
    if letters.is_empty() && unreadable.is_empty() {
        push(&mut text, "no dead letters");
    }
    let rows = letters.iter().map(|letter| {
        let event = &letter.event;
        let (class, reason, since) =
            event.failure().map_or_else(Default::default, |failure| {
                (
                    failure.class.as_str().to_owned(),
                    failure.reason.clone(),
                    time(failure.at),
                )
            });
        let (what, source) =
            (event.event_type().to_owned(), event.source_system().to_owned());
        [
            event.id().to_string(),
            what,
            source,
            event.attempts().to_string(),
            class,
            since,
            reason,
        ]
    });
    let header = ["id", "type", "source", "attempts", "failure", "since", "reason"];
    text.push_str(&table(
        header,
        [Left, Left, Left, Right, Left, Left, Left],
        rows.collect(),
    ));
    if !unreadable.is_empty() {
        let gap = if letters.is_empty() { "" } else { "\n" };
        push(
            &mut text,
            &format!(
                "{gap}no valid event, and out of reach until the row is repaired:\n"
            ),
        );
        let rows =
            unreadable.iter().map(|torn| [torn.id.clone(), torn.why.clone()]).collect();
        text.push_str(&table(["id", "why"], [Left; 2], rows));
    }
    text
}

fn waiting(events: &[Waiting]) -> String {
    if events.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let rows = events.iter().map(|waiting| {
        let event = &waiting.event;
        let held = waiting.claimed_by.as_ref().map(|by| format!("held by {by}"));
        let behind = waiting.behind.as_ref().map(|id| format!("behind {id}"));
        let failed =
            event.failure().map(|failure| format!("failed before: {}", failure.reason));
        let note =
            [held, behind, failed].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let (what, source) =
            (event.event_type().to_owned(), event.source_system().to_owned());
        let (status, attempts) =
            (event.status().to_string(), event.attempts().to_string());
        [
            event.id().to_string(),
            what,
            source,
            status,
            attempts,
            time(waiting.due_at),
            note,
        ]
    });
    let header = ["id", "type", "source", "status", "attempts", "due", "note"];
    table(header, [Left, Left, Left, Left, Right, Left, Left], rows.collect())
}

fn show(event: &AnyEnvelope, moments: &[HistoryEntry], with_payload: bool) -> String {
    let fact = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    let mut facts = vec![
        fact("id", &event.id().to_string()),
        fact(
            "type",
            &format!("{}, version {}", event.event_type(), event.schema_version()),
        ),
        fact("source", event.source_system()),
        fact("status", event.status().as_str()),
        fact(
            "attempts",
            &format!("{} of {}", event.attempts(), event.retry_policy().max_attempts()),
        ),
        fact("created", &time(event.created_at())),
    ];
    facts.extend(event.correlation_id().map(|id| fact("correlation", id)));
    facts.extend(event.ordering_key().map(|key| fact("ordering key", key)));
    let tags = event.tags().iter().filter(|(name, _)| *name != "ordering_key");
    facts.extend(tags.map(|(name, value)| fact("tag", &format!("{name} = {value}"))));
    facts.extend(event.failure().map(|failure| {
        fact(
            "last failure",
            &format!(
                "{}, {}: {}",
                time(failure.at),
                failure.class.as_str(),
                failure.reason
            ),
        )
    }));
    let mut text = rows([Left; 2], facts);
    let moments = moments.iter().map(|moment| {
        let or_none = |said: &Option<String>| said.clone().unwrap_or_default();
        let (action, status) =
            (moment.action.as_str().to_owned(), moment.status.to_string());
        [
            time(moment.at),
            action,
            or_none(&moment.by),
            status,
            moment.attempts.to_string(),
            or_none(&moment.reason),
        ]
    });
    let header = ["at", "action", "by", "status", "attempts", "reason"];
    let moments = table(header, [Left, Left, Left, Left, Right, Left], moments.collect());
    if !moments.is_empty() {
        text.push('\n');
        text.push_str(&moments);
    }
    if with_payload {
        let bytes = event.payload().bytes();
        let body = str::from_utf8(bytes)
            .map_or_else(|_| bytes.escape_ascii().to_string(), printable);
        push(&mut text, &format!("\npayload, {} bytes:\n{body}", bytes.len()));
    }
    text
}

/// The largest unit, and what is left of it in the next one.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let (large, rest) = match (days, hours, minutes) {
        (0, 0, 0) => (format!("{seconds} s"), String::new()),
        (0, 0, _) => (format!("{minutes} min"), format!("{} s", seconds % 60)),
        (0, _, _) => (format!("{hours} h"), format!("{minutes} min")),
        (1, _, _) => ("1 day".to_owned(), format!("{hours} h")),
        _ => (format!("{days} days"), format!("{hours} h")),
    };
    if rest.is_empty() || rest.starts_with("0 ") {
        large
    } else {
        format!("{large} {rest}")
    }
}
