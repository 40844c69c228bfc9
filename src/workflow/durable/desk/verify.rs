//! The check of rows and journals: a journal is replayed through the table, and its row
//! must stand where the last entry leads. Pure, and the same for both databases.

use std::fmt;

use super::Table;
use super::found::Found;
use super::view::PastEntry;
use crate::workflow::{Cause, Definition, Edge, Kind, Status};

/// What is wrong with an instance.
///
/// Its text is a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstanceFinding {
    /// The id of the instance.
    pub instance: String,
    /// What is wrong.
    pub what: Discrepancy,
}

/// How rows, journal and table disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discrepancy {
    /// The row or its journal cannot be read, or the row cannot be led into the table.
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// The table has no such move.
    NoSuchMove {
        /// The number of the entry.
        entry: i64,
        /// What moved the instance.
        what: String,
        /// The stage that it left; none where it began.
        from: Option<String>,
        /// The stage that it led to.
        to: String,
    },
    /// An entry is missing before this one, or its revision does not follow.
    Gap {
        /// The number of the entry that follows.
        wanted: i64,
        /// The number of this one.
        found: i64,
        /// The revision that follows.
        wanted_revision: i64,
        /// The revision of this one.
        found_revision: i64,
    },
    /// The row does not stand where its journal leads.
    RowDiffers {
        /// The stage and the revision of the row.
        row: (String, i64),
        /// The stage and the revision after the last entry; none without an entry.
        journal: Option<(String, i64)>,
    },
    /// There are entries of a journal, and no instance.
    NoRow,
}

impl fmt::Display for InstanceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {}: ", self.instance)?;
        match &self.what {
            Discrepancy::Unreadable { reason } => f.write_str(reason),
            Discrepancy::NoSuchMove { entry, what, from: Some(from), to } => write!(
                f,
                "entry {entry} of the journal leads from `{from}` to `{to}` by `{what}`, \
                 and the table has no such move"
            ),
            Discrepancy::NoSuchMove { entry, what, from: None, to } => write!(
                f,
                "entry {entry} of the journal begins at `{to}` by `{what}`, and the \
                 table has no such beginning"
            ),
            Discrepancy::Gap { wanted, found, wanted_revision, found_revision } => {
                write!(
                    f,
                    "wanted entry {wanted} of the journal at revision {wanted_revision}, \
                 and found entry {found} at revision {found_revision}"
                )
            }
            Discrepancy::RowDiffers { row: (row, revision), journal: None } => write!(
                f,
                "the row is `{row}` at revision {revision}, and the journal is empty"
            ),
            Discrepancy::RowDiffers { row, journal: Some(journal) } => write!(
                f,
                "the row is `{}` at revision {}, and the journal leads to `{}` at \
                 revision {}",
                row.0, row.1, journal.0, journal.1
            ),
            Discrepancy::NoRow => f.write_str("it has a journal, and no row"),
        }
    }
}

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
    let Ok(status) = row.status.parse::<Status>() else {
        let reason = format!("{:?} is no status of a workflow", row.status);
        return vec![Discrepancy::Unreadable { reason }];
    };
    let table = table.filter(|table| {
        !status.is_end() || row.version == i64::from(table.definition.version)
    });
    let mut amiss = Vec::new();
    let unreadable = table.and_then(|table| found.read(table).err());
    let is_readable = unreadable.is_none();
    amiss.extend(unreadable.map(|reason| Discrepancy::Unreadable { reason }));
    // A table that cannot lead the row cannot replay its journal either.
    let moves = table.filter(|_| is_readable).map(|table| Moves::of(table.definition));
    amiss.extend(replay(journal, moves.as_ref()));
    let last = journal.last().map(|last| (stage_text(stage(last)), last.revision));
    let here = stage_text((status, row.step.as_deref().unwrap_or_default()));
    if last.as_ref() != Some(&(here.clone(), row.revision)) {
        let row = (here, row.revision);
        amiss.push(Discrepancy::RowDiffers { row, journal: last });
    }
    amiss
}

fn stage(entry: &PastEntry) -> Stage<'_> {
    (entry.status, entry.to_step.as_deref().unwrap_or_default())
}

/// What is wrong with the entries of a journal, each seen from the one before it.
fn replay(journal: &[PastEntry], moves: Option<&Moves>) -> Vec<Discrepancy> {
    let mut amiss = Vec::new();
    let mut before: Option<&PastEntry> = None;
    for entry in journal {
        let stays = [Cause::Late, Cause::TakenUp].map(Cause::as_str);
        let step = i64::from(!stays.contains(&entry.what.as_str()));
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
        } else if moves.is_some_and(|moves| !moves.allow(before.map(stage), entry)) {
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

    fn allow(&self, from: Option<Stage<'_>>, entry: &PastEntry) -> bool {
        let to = stage(entry);
        let cause = Cause::ALL.iter().find(|cause| cause.as_str() == entry.what);
        let (Some(from), Some(cause)) = (from, cause) else {
            return from.is_none() && entry.what == "started" && self.may_begin(to);
        };
        match cause {
            Cause::Started => false,
            // The table of the older version is gone.
            Cause::Followed => true,
            Cause::Escalated
            | Cause::Reminded
            | Cause::Voted
            | Cause::Withdrawn
            | Cause::Amended
            | Cause::Postponed
            | Cause::Reassigned
            | Cause::TakenUp
            | Cause::Late => from == to,
            moved => self.edges.iter().any(|edge| {
                edge.from == from && edge.to == to && self.cause_of(edge) == *moved
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
