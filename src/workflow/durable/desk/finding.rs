//! `InstanceFinding`: what a desk finds wrong with an instance, in words.

use std::collections::BTreeMap;
use std::fmt;

use crate::EventId;
use crate::state::DeliveryStatus;
use crate::workflow::Status;

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
    /// The desk does not know the table of its workflow, and so has compared rows and
    /// journals alone: of this instance, the first, and of all others of the workflow.
    UnknownTable {
        /// The workflow.
        workflow: String,
        /// How many instances of it there are.
        instances: u64,
    },
    /// The votes for an approval are not those that its journal says.
    VotesDiffer {
        /// The approval.
        approval: String,
        /// The votes that the journal says, each as a line.
        wanted: Vec<String>,
        /// The votes that are stored.
        found: Vec<String>,
    },
    /// Those who have amended it are not those that its journal says.
    AmendersDiffer {
        /// Who has, as the journal says.
        wanted: Vec<String>,
        /// Who has, as the row says.
        found: Vec<String>,
    },
    /// Under the id of the command that it waits for the outbox has another event.
    OtherCommand {
        /// The id.
        command: EventId,
        /// Type, source and correlation of the command.
        wanted: String,
        /// Type, source and correlation of the event.
        found: String,
    },
    /// It waits for the reply to a command that is not sent any more.
    CommandStopped {
        /// The id of the command.
        command: EventId,
        /// Where the instance stands.
        status: Status,
        /// Where the event does.
        found: DeliveryStatus,
        /// Why it failed the last time, where it did.
        failure: Option<String>,
    },
}

/// The workflows whose table a desk does not know: each with its first instance, and how
/// many there are.
#[derive(Default)]
pub(super) struct UnknownTables(BTreeMap<String, (String, u64)>);

impl UnknownTables {
    pub(super) fn count(&mut self, workflow: &str, instance: &str) {
        let first = || (instance.to_owned(), 0);
        let (_, instances) = self.0.entry(workflow.to_owned()).or_insert_with(first);
        *instances = instances.saturating_add(1);
    }

    pub(super) fn findings(self) -> impl Iterator<Item = InstanceFinding> {
        self.0.into_iter().map(|(workflow, (instance, instances))| {
            let what = Discrepancy::UnknownTable { workflow, instances };
            InstanceFinding { instance, what }
        })
    }
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
            Discrepancy::UnknownTable { workflow, instances } => write!(
                f,
                "the table of {workflow} is unknown here, so moves, votes and commands \
                 are not checked ({instances} instances of it): give the desk the table"
            ),
            Discrepancy::VotesDiffer { approval, wanted, found } => write!(
                f,
                "wanted the votes for `{approval}` that the journal says ({}), and found \
                 ({}): restore the rows of `workflow_vote` from the journal",
                wanted.join("; "),
                found.join("; ")
            ),
            Discrepancy::AmendersDiffer { wanted, found } => write!(
                f,
                "wanted it amended by those whom the journal names ({}), and found ({}): \
                 restore `amended_by` of its row from the journal",
                wanted.join("; "),
                found.join("; ")
            ),
            Discrepancy::OtherCommand { command, wanted, found } => write!(
                f,
                "wanted {wanted} as the event {command} of the outbox, and found \
                 {found}: its reply is none to this instance, so discard the event, and \
                 settle the step once its deadline has passed"
            ),
            Discrepancy::CommandStopped { command, status, found, failure } => {
                write!(
                    f,
                    "wanted the command {command} on its way while the instance is \
                     {status}, and found it {found}"
                )?;
                if let Some(failure) = failure {
                    write!(f, " ({failure})")?;
                }
                f.write_str(
                    ": redrive it where it failed, or postpone the deadline to now, so \
                     that the table goes on without it",
                )
            }
        }
    }
}
