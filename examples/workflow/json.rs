//! A report as JSON: one document, or one for each line where there are many things to
//! list. Times are RFC 3339 in UTC, and what there is none of is `null`.
//!
//! | command | each line |
//! |---|---|
//! | `counts` | `workflow`, `status`, `step`, `instances`, `oldest`, `overdue`, `failing`, `for_nobody` |
//! | `stuck` | an instance |
//! | `look` | an instance, and `journal` (each with `entry`, `revision`, `at`, `what`, `step`, `status`, `to_step`, `event`, `commands`, `by`, `role`, `instead_of`, `reason`, `standing`) |
//! | `verify` | `balanced`, `findings` (each with `instance`, `what`) |
//! | `diagram` | `mermaid` |
//! | `settle`, `approve`, `refuse`, `withdraw`, `cancel`, `take-up` | `outcome` (`done`, `refused`), and an instance, or `id` and `why` |
//! | `purge` | `removed` |
//!
//! An instance has `id`, `workflow`, `version`, `revision`, `status`, `step`, `begun_at`,
//! `moved_at`, `due_at`, `waits_for`, `dead_replies` (each with `source`, `id`,
//! `event_type`, `failure`, `failed_at`). What it waits for has a `kind`: `reply` (with
//! `command`, `command_status`, `command_attempts`, `command_failure`), `people` (with
//! `role`, `level`, `since`, `remind_at`, `wanted`, `agreed`, `other_levels`, each with
//! `role`, `wanted`, `agreed`, and `for_nobody`), `turn` (with `failures`, `reason`,
//! `again_at`), `repair` (with `reason`), `other_table`, `nothing`.

use integration_automation_patterns::workflow::{
    DeadReply, InstanceFinding, InstanceView, LevelVotes, PastEntry, StageCount, WaitsFor,
};
use serde_json::{Value, json};

use crate::json_line::{lines, time};
use crate::report::Report;

pub(crate) fn write(report: &Report) -> String {
    let documents = match report {
        Report::Counts(found) => found.iter().map(count).collect(),
        Report::Stuck { instances, .. } => {
            instances.iter().map(|found| instance(found, [])).collect()
        }
        Report::Instance(found) => {
            let journal = found.journal.iter().map(entry).collect();
            vec![instance(&found.instance, [("journal", journal)])]
        }
        Report::NoneSuch { .. } => Vec::new(),
        Report::Verified(findings) => {
            let finding = |one: &InstanceFinding| json!({"instance": one.instance, "what": one.to_string()});
            let list = findings.iter().map(finding).collect::<Vec<_>>();
            vec![json!({"balanced": findings.is_empty(), "findings": list})]
        }
        Report::Diagram(mermaid) => vec![json!({"mermaid": mermaid})],
        Report::Done(found) => vec![instance(found, [("outcome", "done".into())])],
        Report::Refused { id, why } => {
            vec![json!({"id": id.to_string(), "outcome": "refused", "why": why})]
        }
        Report::Purged(removed) => vec![json!({"removed": removed})],
    };
    lines(&documents)
}

fn count(count: &StageCount) -> Value {
    json!({
        "workflow": count.workflow,
        "status": count.status.as_str(),
        "step": count.step,
        "instances": count.instances,
        "oldest": time(count.oldest),
        "overdue": count.overdue,
        "failing": count.failing,
        "for_nobody": count.for_nobody,
    })
}

/// An instance, with what the command adds.
fn instance<const N: usize>(found: &InstanceView, more: [(&str, Value); N]) -> Value {
    let mut document = json!({
        "id": found.id,
        "workflow": found.workflow,
        "version": found.version,
        "revision": found.revision,
        "status": found.status.as_str(),
        "step": found.step,
        "begun_at": time(found.begun_at),
        "moved_at": time(found.moved_at),
        "due_at": found.due_at.map(time),
        "waits_for": waits_for(&found.waits_for),
        "dead_replies": found.dead_replies.iter().map(dead_reply).collect::<Vec<_>>(),
    });
    if let Value::Object(object) = &mut document {
        object.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    document
}

fn waits_for(waits_for: &WaitsFor) -> Value {
    match waits_for {
        WaitsFor::Nothing => json!({"kind": "nothing"}),
        WaitsFor::Reply { command, state } => json!({
            "kind": "reply",
            "command": command.as_ref().map(ToString::to_string),
            "command_status": state.as_ref().map(|state| &state.status),
            "command_attempts": state.as_ref().map(|state| state.attempts),
            "command_failure": state.as_ref().map(|state| &state.failure),
        }),
        WaitsFor::People {
            role,
            level,
            since,
            remind_at,
            wanted,
            agreed,
            other_levels,
            for_nobody,
        } => json!({
            "kind": "people",
            "role": role,
            "level": level,
            "since": time(*since),
            "remind_at": remind_at.map(time),
            "wanted": wanted,
            "agreed": agreed,
            "other_levels": other_levels.iter().map(level_votes).collect::<Vec<_>>(),
            "for_nobody": for_nobody,
        }),
        WaitsFor::Turn { failures, reason, again_at } => json!({
            "kind": "turn",
            "failures": failures,
            "reason": reason,
            "again_at": again_at.map(time),
        }),
        WaitsFor::Repair { reason } => json!({"kind": "repair", "reason": reason}),
        WaitsFor::OtherTable => json!({"kind": "other_table"}),
        _ => Value::Null,
    }
}

fn level_votes(level: &LevelVotes) -> Value {
    json!({"role": level.role, "wanted": level.wanted, "agreed": level.agreed})
}

fn dead_reply(reply: &DeadReply) -> Value {
    json!({
        "source": reply.source_system,
        "id": reply.id,
        "event_type": reply.event_type,
        "failure": reply.failure,
        "failed_at": reply.failed_at.map(time),
    })
}

fn entry(entry: &PastEntry) -> Value {
    json!({
        "entry": entry.entry,
        "revision": entry.revision,
        "at": time(entry.at),
        "what": entry.what,
        "step": entry.step,
        "status": entry.status.as_str(),
        "to_step": entry.to_step,
        "event": entry.event.as_ref().map(|(source, id)| json!({"source": source, "id": id})),
        "commands": entry.commands,
        "by": entry.by,
        "role": entry.role,
        "instead_of": entry.instead_of,
        "reason": entry.reason,
        "standing": entry.standing,
    })
}
