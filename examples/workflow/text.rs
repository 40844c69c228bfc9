//! A report for people.

use integration_automation_patterns::workflow::{
    InstanceFinding, InstanceHistory, InstanceView, PastEntry, StageCount, WaitsFor,
};

use crate::columns::{Left, Right, push, rows, table, time};
use crate::report::Report;
use crate::terminal::printable;

pub(crate) fn write(report: &Report) -> String {
    match report {
        Report::Counts(found) => counts(found),
        Report::Stuck { instances, .. } => stuck(instances),
        Report::Instance(found) => look(found),
        Report::NoneSuch { .. } => String::new(),
        Report::Verified(findings) => verified(findings),
        Report::Diagram(mermaid) => mermaid.clone(),
        Report::Done(instance) => facts(instance),
        Report::Refused { id, why } => {
            rows([Left; 3], vec![[id.to_string(), "refused".to_owned(), why.clone()]])
        }
        Report::Purged(removed) => format!("{removed} removed\n"),
    }
}

fn counts(counts: &[StageCount]) -> String {
    if counts.is_empty() {
        return "no instances\n".to_owned();
    }
    let rows = counts.iter().map(|count| {
        [
            count.workflow.clone(),
            count.status.to_string(),
            count.step.clone().unwrap_or_default(),
            count.instances.to_string(),
            time(count.oldest),
            count.overdue.to_string(),
            count.failing.to_string(),
            count.for_nobody.to_string(),
        ]
    });
    let header = [
        "workflow",
        "status",
        "step",
        "instances",
        "oldest",
        "overdue",
        "failing",
        "for nobody",
    ];
    let align = [Left, Left, Left, Right, Left, Right, Right, Right];
    table(header, align, rows.collect())
}

/// Each instance on a line, and below it what it waits for.
fn stuck(instances: &[InstanceView]) -> String {
    if instances.is_empty() {
        return "nothing is stuck\n".to_owned();
    }
    let rows = instances.iter().map(|instance| {
        [
            instance.id.clone(),
            instance.workflow.clone(),
            stands(instance),
            instance.revision.to_string(),
            time(instance.moved_at),
            instance.due_at.map(time).unwrap_or_default(),
        ]
    });
    let header = ["id", "workflow", "stands", "revision", "moved", "due"];
    let table = table(header, [Left, Left, Left, Right, Left, Left], rows.collect());
    let mut lines = table.lines();
    let mut text = String::new();
    push(&mut text, lines.next().unwrap_or_default());
    for (line, instance) in lines.zip(instances) {
        let waits_for = printable(&waits_for(instance));
        push(&mut text, &format!("{line}\n  waits for {waits_for}"));
        for reply in &instance.dead_replies {
            push(
                &mut text,
                &format!("  could not take {}", printable(&reply.to_string())),
            );
        }
    }
    text
}

fn look(InstanceHistory { instance, journal, .. }: &InstanceHistory) -> String {
    let mut text = facts(instance);
    push(&mut text, "");
    let entries = journal.iter().map(|entry| {
        let step = entry.to_step.as_deref().unwrap_or_default();
        [
            entry.entry.to_string(),
            time(entry.at),
            entry.what.clone(),
            format!("{} {step}", entry.status).trim_end().to_owned(),
            person(entry),
            entry.reason.clone().unwrap_or_default(),
            about(entry),
        ]
    });
    let header = ["entry", "at", "what", "led to", "by", "reason", "events"];
    let align = [Right, Left, Left, Left, Left, Left, Left];
    text.push_str(&table(header, align, entries.collect()));
    text
}

/// Where an instance stands, one fact on each line.
fn facts(instance: &InstanceView) -> String {
    let fact = |name: &str, value: String| [name.to_owned(), value];
    let mut facts = vec![
        fact("id", instance.id.clone()),
        fact("workflow", format!("{}, version {}", instance.workflow, instance.version)),
        fact("stands", stands(instance)),
        fact("revision", instance.revision.to_string()),
        fact("begun", time(instance.begun_at)),
        fact("moved", time(instance.moved_at)),
        fact("due", instance.due_at.map(time).unwrap_or_default()),
        fact("waits for", waits_for(instance)),
    ];
    let dead = instance.dead_replies.iter();
    facts.extend(dead.map(|reply| fact("could not take", reply.to_string())));
    rows([Left; 2], facts)
}

fn stands(instance: &InstanceView) -> String {
    match &instance.step {
        Some(step) => format!("{} {step}", instance.status),
        None => instance.status.to_string(),
    }
}

/// What an instance waits for, in words: what is over waits for nothing.
fn waits_for(instance: &InstanceView) -> String {
    match &instance.waits_for {
        WaitsFor::Nothing => String::new(),
        waits_for => waits_for.to_string(),
    }
}

fn person(entry: &PastEntry) -> String {
    let mut person = entry.by.clone().unwrap_or_default();
    if let Some(role) = &entry.role {
        person.push_str(&format!(" as {role}"));
    }
    if let Some(away) = &entry.instead_of {
        person.push_str(&format!(" instead of {away}"));
    }
    person
}

/// The event that caused an entry, and those that left with it; what stands, at an end.
fn about(entry: &PastEntry) -> String {
    let cause = entry.event.iter().map(|(source, id)| format!("by {id} of {source}"));
    let left = entry.commands.iter().map(|id| format!("sent {id}"));
    let stands = entry.standing.iter().map(|step| format!("{step} stands"));
    cause.chain(left).chain(stands).collect::<Vec<_>>().join("; ")
}

fn verified(findings: &[InstanceFinding]) -> String {
    if findings.is_empty() {
        return "nothing is wrong\n".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        push(&mut text, &printable(&finding.to_string()));
    }
    push(&mut text, &format!("{} found", findings.len()));
    text
}
