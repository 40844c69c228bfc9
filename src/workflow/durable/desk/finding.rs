//! `InstanceFinding`: what a desk finds wrong with an instance, in words.

use std::collections::BTreeMap;
use std::fmt;

use crate::EventId;
use crate::state::DeliveryStatus;
use crate::workflow::Status;

/// What is wrong with an instance.
///
/// Its text is a line for people, and ends in what to do about it.
///
/// No program of this crate leads to most of them: somebody has written into the tables by
/// hand, or restored a part of them. A row that is changed back is found no more; what the
/// journal says is the past, so restore it from a backup, and mend the row.
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
    /// The row or its journal cannot be read, or the row cannot be led into the table. Run
    /// the program that knows it, or mend the row.
    Unreadable {
        /// Why not.
        reason: String,
    },
    /// The table has no such move. Run the program that made it; if none did, restore the
    /// journal from a backup.
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
    /// An entry is missing before this one, or its revision does not follow. Restore the
    /// journal from a backup.
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
    /// The row does not stand where its journal leads. Set the row back to where the
    /// journal leads.
    RowDiffers {
        /// The stage and the revision of the row.
        row: (String, i64),
        /// The stage and the revision after the last entry; none without an entry.
        journal: Option<(String, i64)>,
    },
    /// There are entries of a journal, and no instance. Restore the row from a backup, or
    /// remove the entries where it was purged by hand.
    NoRow,
    /// The desk does not know the table of its workflow, and so has compared rows and
    /// journals alone: of this instance, the first, and of all others of the workflow. Give
    /// the desk the table ([`of`](super::Desk::of)).
    UnknownTable {
        /// The workflow.
        workflow: String,
        /// How many instances of it there are.
        instances: u64,
    },
    /// The votes for an approval are not those that its journal says. Restore the rows of
    /// `workflow_vote` from the journal.
    VotesDiffer {
        /// The approval.
        approval: String,
        /// The votes that the journal says, each as a line.
        wanted: Vec<String>,
        /// The votes that are stored.
        found: Vec<String>,
    },
    /// Those who have amended it are not those that its journal says. Restore `amended_by`
    /// of its row from the journal.
    AmendersDiffer {
        /// Who has, as the journal says.
        wanted: Vec<String>,
        /// Who has, as the row says.
        found: Vec<String>,
    },
    /// Under the id of the command that it waits for the outbox has another event. Discard
    /// that event, and settle the step once its deadline has passed.
    OtherCommand {
        /// The id.
        command: EventId,
        /// Type, source and correlation of the command.
        wanted: String,
        /// Type, source and correlation of the event.
        found: String,
    },
    /// It waits for the reply to a command that is not sent any more. Redrive the command
    /// where it failed, or postpone the deadline to now, so that the table goes on without
    /// it.
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
        write!(f, "instance {}: {}", self.instance, self.what)
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_found(f)?;
        write!(f, ": {}", self.remedy())
    }
}

impl Discrepancy {
    /// What a person does about it.
    const fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "run the program that knows it, or mend the row",
            Self::NoSuchMove { .. } => {
                "run the program that made it, or restore the journal from a backup"
            }
            Self::Gap { .. } => "restore the journal from a backup",
            Self::RowDiffers { .. } => "set the row back to where the journal leads",
            Self::NoRow => {
                "restore the row from a backup, or remove the entries where somebody has \
                 removed it"
            }
            Self::UnknownTable { .. } => "give the desk the table",
            Self::VotesDiffer { .. } => {
                "restore the rows of `workflow_vote` from the journal"
            }
            Self::AmendersDiffer { .. } => {
                "restore `amended_by` of its row from the journal"
            }
            Self::OtherCommand { .. } => {
                "its reply is none to this instance, so discard the event, and settle the \
                 step once its deadline has passed"
            }
            Self::CommandStopped { .. } => {
                "redrive it where it failed, or postpone the deadline to now, so that the \
                 table goes on without it"
            }
        }
    }

    /// What is wrong.
    fn write_found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { reason } => {
                write!(f, "the row or its journal cannot be read ({reason})")
            }
            Self::NoSuchMove { entry, what, from, to } => {
                write!(f, "entry {entry} of the journal ")?;
                match from {
                    Some(from) => write!(f, "leads from `{from}` to `{to}` by `{what}`")?,
                    None => write!(f, "begins at `{to}` by `{what}`")?,
                }
                f.write_str(", and the table has no such move")
            }
            Self::Gap { wanted, found, wanted_revision, found_revision } => write!(
                f,
                "wanted entry {wanted} of the journal at revision {wanted_revision}, and \
                 found entry {found} at revision {found_revision}"
            ),
            Self::RowDiffers { row: (row, revision), journal } => {
                write!(f, "the row is `{row}` at revision {revision}, and the journal ")?;
                match journal {
                    None => f.write_str("is empty"),
                    Some((to, revision)) => {
                        write!(f, "leads to `{to}` at revision {revision}")
                    }
                }
            }
            Self::NoRow => f.write_str("it has a journal, and no row"),
            Self::UnknownTable { workflow, instances } => write!(
                f,
                "the table of {workflow} is unknown here, so moves, votes and commands are \
                 not checked ({instances} instances of it)"
            ),
            Self::VotesDiffer { approval, wanted, found } => write!(
                f,
                "wanted the votes for `{approval}` that the journal says ({}), and found \
                 ({})",
                wanted.join("; "),
                found.join("; ")
            ),
            Self::AmendersDiffer { wanted, found } => write!(
                f,
                "wanted it amended by those whom the journal names ({}), and found ({})",
                wanted.join("; "),
                found.join("; ")
            ),
            Self::OtherCommand { command, wanted, found } => write!(
                f,
                "wanted {wanted} as the event {command} of the outbox, and found {found}"
            ),
            Self::CommandStopped { command, status, found, failure } => {
                write!(
                    f,
                    "wanted the command {command} on its way while the instance is \
                     {status}, and found it {found}"
                )?;
                failure.iter().try_for_each(|failure| write!(f, " ({failure})"))
            }
        }
    }
}
