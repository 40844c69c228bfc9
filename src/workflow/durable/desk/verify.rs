//! The check of an instance: its journal is replayed through the table, and row, votes
//! and outbox must agree with it. Pure, and the same for both databases.

use super::finding::Discrepancy;
use super::found::Found;
use super::view::PastEntry;
use super::{Table, awaited, votes};
use crate::workflow::durable::columns::read_status;
use crate::workflow::{Cause, Definition, Edge, Kind, Status};

/// Where an instance stands: an end has no step.
type Stage<'a> = (Status, &'a str);

fn stage_text((status, step): Stage<'_>) -> String {
    if step.is_empty() { status.to_string() } else { format!("{status} {step}") }
}

/// What is wrong with an instance and its journal. Of an unknown table, and of an end
/// under another version, the order of the entries and the row are checked alone.
pub(super) fn verify(
    found: &Found,
    journal: &[PastEntry],
    table: Option<&Table>,
) -> Vec<Discrepancy> {
    let row = &found.rows.instance;
    let status = match read_status(&row.status) {
        Ok(status) => status,
        Err(reason) => return vec![Discrepancy::Unreadable { reason }],
    };
    let table = table.filter(|table| {
        !status.is_end() || row.version == i64::from(table.definition.version)
    });
    let mut amiss = Vec::new();
    let read = table.map(|table| Ok((found.read(table)?, &table.definition)));
    let read = read.transpose().unwrap_or_else(|reason| {
        amiss.push(Discrepancy::Unreadable { reason });
        None
    });
    // A table that cannot lead the row cannot replay its journal either.
    let moves = read.as_ref().map(|(_, table)| Moves::of(**table));
    amiss.extend(replay(journal, moves.as_ref()));
    let last = journal.iter().rfind(|entry| is_step(entry));
    let last = last.map(|last| (stage_text(stage(last)), last.revision));
    let here = stage_text((status, row.step.as_deref().unwrap_or_default()));
    if last.as_ref() != Some(&(here.clone(), row.revision)) {
        let row = (here, row.revision);
        amiss.push(Discrepancy::RowDiffers { row, journal: last });
    }
    // A journal that is broken says nothing of votes.
    if let (Some((record, table)), true) = (read, amiss.is_empty()) {
        amiss.extend(votes::compare(&record, journal));
        amiss.extend(awaited::compare(&record, table, found.present.command.as_ref()));
    }
    amiss
}

/// Whether an entry has stored the row anew.
fn is_step(entry: &PastEntry) -> bool {
    Cause::of(&entry.what).is_none_or(Cause::is_step)
}

fn stage(entry: &PastEntry) -> Stage<'_> {
    (entry.status, entry.to_step.as_deref().unwrap_or_default())
}

/// What is wrong with the entries of a journal, each seen from the one before it.
fn replay(journal: &[PastEntry], moves: Option<&Moves>) -> Vec<Discrepancy> {
    let mut amiss = Vec::new();
    let mut before: Option<&PastEntry> = None;
    for entry in journal {
        let step = i64::from(is_step(entry));
        let (number, revision) =
            before.map_or((0, 0), |before| (before.entry, before.revision));
        let wanted = (number.saturating_add(1), revision.saturating_add(step));
        if (entry.entry, entry.revision) != wanted {
            amiss.push(Discrepancy::Gap {
                wanted: wanted.0,
                found: entry.entry,
                wanted_revision: wanted.1,
                found_revision: entry.revision,
            });
        } else if moves.is_some_and(|moves| !moves.allow(before, entry)) {
            amiss.push(Discrepancy::NoSuchMove {
                entry: entry.entry,
                what: entry.what.clone(),
                from: before.map(|before| stage_text(stage(before))),
                to: stage_text(stage(entry)),
            });
        }
        before = Some(entry);
    }
    amiss
}

/// Every move of a table.
struct Moves {
    definition: Definition,
    edges: Vec<Edge>,
}

impl Moves {
    fn of(definition: Definition) -> Self {
        Self { edges: definition.edges(), definition }
    }

    fn allow(&self, before: Option<&PastEntry>, entry: &PastEntry) -> bool {
        // The table of an earlier version is gone; and where a newer one takes over, it
        // leads the instance on from a stage of its own.
        let is_of_table = |version| version == i64::from(self.definition.version);
        let is_led_over = before.is_some_and(|before| before.version != entry.version);
        if is_led_over || !entry.version.is_none_or(is_of_table) {
            return true;
        }
        let (from, to) = (before.map(stage), stage(entry));
        let (Some(from), Some(cause)) = (from, Cause::of(&entry.what)) else {
            return from.is_none() && entry.what == "started" && self.may_begin(to);
        };
        match cause {
            Cause::Started => false,
            stays if stays.stays() => from == to,
            moved => self.edges.iter().any(|edge| {
                edge.from == from && edge.to == to && self.cause_of(edge) == moved
            }),
        }
    }

    /// Whether an instance may begin here: a conditional approval may be passed over.
    fn may_begin(&self, (status, name): Stage<'_>) -> bool {
        let is_place = match status {
            Status::Awaiting => self.definition.step(name).is_some(),
            other => other == Status::Completed,
        };
        is_place && self.definition.before(name).all(|step| step.when.is_some())
    }

    /// The journal's word for a way through the table.
    fn cause_of(&self, edge: &Edge) -> Cause {
        let step = self.definition.step(edge.from.1);
        let is_approval = step.is_some_and(|step| step.kind == Kind::Approval);
        match edge.by {
            "timed_out" if is_approval => Cause::Expired,
            "timed_out" => Cause::TimedOut,
            "approve" => Cause::Approved,
            "refuse" => Cause::Declined,
            "cancel" => Cause::Cancelled,
            "happened" => Cause::Happened,
            "did_not_happen" => Cause::DidNotHappen,
            "ask_again" => Cause::AskedAgain,
            "give_up" => Cause::GivenUp,
            _ if matches!(edge.from.0, Status::Undoing | Status::Stuck) => Cause::Undone,
            reply if step.is_some_and(|step| step.done == Some(reply)) => Cause::Done,
            _ => Cause::Refused,
        }
    }
}
