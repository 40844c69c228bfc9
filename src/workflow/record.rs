//! `InstanceRecord`: an instance as plain data, and why one is refused on the way back in.

use std::fmt;

use chrono::{DateTime, Utc};

use super::approval::{Clearance, Question};
use super::excerpt::excerpt;
use super::id::Seen;
use super::role::{Actor, Person};
use super::stage::Status;
use super::wire::WireError;
use crate::EventId;

/// An instance as plain data: what a store keeps, a row with the votes that belong to it.
///
/// Every field is public and nothing is checked. The way back in is
/// [`Driven::rehydrate`](super::Driven::rehydrate), which checks everything.
#[derive(Clone, PartialEq, Eq)]
pub struct InstanceRecord {
    /// The workflow's name.
    pub workflow: String,
    /// The version of its table.
    pub version: u32,
    /// The fingerprint of its table.
    pub fingerprint: u64,
    /// The id of the instance.
    pub id: EventId,
    /// How often the instance was stored, from 1.
    pub revision: u64,
    /// Where it stands with the step.
    pub status: Status,
    /// The step; an end has none.
    pub step: Option<String>,
    /// The command whose reply is listened for: for people to look up.
    pub awaits: Option<EventId>,
    /// When the clock moves it: its deadline, or the reminder of a question before that. An
    /// end has none.
    pub due_at: Option<DateTime<Utc>>,
    /// How often the command was sent anew, or what is asked for was amended, from 1.
    pub round: u32,
    /// The question that is open, where people are asked.
    pub question: Option<Question>,
    /// The approvals so far.
    pub cleared: Vec<Clearance>,
    /// Who began it, where the table names the role that does.
    pub requested_by: Option<Actor>,
    /// Who has amended what it is about, each once, in the order of their amendments.
    pub amended_by: Vec<Actor>,
    /// What it is about.
    pub data: Vec<u8>,
}

impl InstanceRecord {
    /// Who decides on no approval of it: the one who asks, and those who have amended it.
    pub fn authors(&self) -> Vec<Actor> {
        self.requested_by.iter().chain(&self.amended_by).cloned().collect()
    }
}

impl fmt::Debug for InstanceRecord {
    /// Everything but the data, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceRecord")
            .field("workflow", &self.workflow)
            .field("version", &self.version)
            .field("fingerprint", &self.fingerprint)
            .field("id", &self.id)
            .field("revision", &self.revision)
            .field("status", &self.status)
            .field("step", &self.step)
            .field("awaits", &self.awaits)
            .field("due_at", &self.due_at)
            .field("round", &self.round)
            .field("question", &self.question)
            .field("cleared", &self.cleared)
            .field("requested_by", &self.requested_by)
            .field("amended_by", &self.amended_by)
            .finish_non_exhaustive()
    }
}

/// A record that no walk through the table can have led to, or whose table is another.
///
/// ```
/// use integration_automation_patterns::workflow::{RecordError, Status};
///
/// let error = RecordError::NoSuchStage {
///     status: Status::Awaiting,
///     step: "charge_card".into(),
/// };
/// assert_eq!(
///     error.to_string(),
///     "the table has no stage `awaiting` of a step \"charge_card\": was the step renamed \
///      or removed?"
/// );
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RecordError {
    /// It is an instance of another workflow.
    OtherWorkflow {
        /// The name of this one.
        wanted: &'static str,
        /// The name in the record.
        found: String,
    },
    /// It is of a version that this table is not, and does not follow.
    UnknownVersion {
        /// The version of this table.
        wanted: u32,
        /// The version in the record.
        found: u32,
    },
    /// This table follows its version, and refuses the instance.
    NotFollowed {
        /// The version in the record.
        version: u32,
        /// Why.
        reason: String,
    },
    /// It is led over to a stage that does not wait for what it waits for.
    LedAstray {
        /// The stage of the earlier version; an end has no step.
        from: (Status, String),
        /// The stage of this one.
        to: (Status, &'static str),
    },
    /// It is led over to a stage before which the table does not have a step that was
    /// done, and may have to be undone.
    UndoForgotten {
        /// The step.
        step: &'static str,
    },
    /// The table was changed and its version was not.
    TableChanged {
        /// The version.
        version: u32,
        /// The fingerprint of this table.
        wanted: u64,
        /// The fingerprint in the record.
        found: u64,
    },
    /// The table has no such stage.
    NoSuchStage {
        /// The status in the record.
        status: Status,
        /// The step in the record; an end has none.
        step: String,
    },
    /// It waits without a deadline.
    NoDeadline {
        /// The status in the record.
        status: Status,
    },
    /// It is over, and has a deadline.
    DeadlineOfNothing {
        /// The status in the record.
        status: Status,
        /// The deadline in the record.
        found: DateTime<Utc>,
    },
    /// It asks people without a question, has a question that nobody is asked, or one
    /// that shows what it should not.
    Question {
        /// The status in the record.
        status: Status,
        /// Whether people are asked at this stage.
        wanted: bool,
        /// What the record has.
        found: &'static str,
    },
    /// The revision is 0.
    NeverStored,
    /// Its command is not asked in this round.
    Round {
        /// The highest round that it can have.
        most: u32,
        /// The round in the record.
        found: u32,
    },
    /// It listens for the reply to another command than the one of its stage.
    AwaitsOther {
        /// The command of its stage.
        wanted: Option<EventId>,
        /// The command in the record.
        found: Option<EventId>,
    },
    /// It does not say who began it, or says so although nobody is asked who does.
    Requester {
        /// The role that begins an instance.
        wanted: Option<&'static str>,
        /// Who did, as the record says.
        found: Option<Person>,
    },
    /// It has passed an approval that nobody gave, or was given twice.
    ClearanceMissing {
        /// The approval.
        approval: String,
        /// How often it was given.
        found: usize,
    },
    /// An approval is cleared that the instance has not reached.
    ClearedAhead {
        /// The approval.
        approval: String,
    },
    /// An approval is cleared by fewer people than any level of its chain wants.
    TooFewVotes {
        /// The approval.
        approval: String,
        /// How many have voted, in whatever role.
        found: usize,
    },
    /// The table has no such approval.
    NoSuchApproval {
        /// The name in the record.
        found: String,
    },
    /// The one who asks has voted, or somebody in their place.
    ClearedByAsker {
        /// The approval.
        approval: String,
        /// Who voted.
        person: Person,
    },
    /// One who has amended it has voted, or somebody in their place.
    ClearedByAmender {
        /// The approval.
        approval: String,
        /// Who voted.
        person: Person,
    },
    /// It was amended, and does not say by whom.
    AmendersMissing {
        /// How many people it was amended by, at least.
        wanted: u32,
        /// How many it names.
        found: usize,
    },
    /// A vote is about something else than what is shown.
    SeenOther {
        /// The approval.
        approval: String,
        /// What the vote is about.
        seen: Seen,
        /// What is shown.
        now: Seen,
    },
    /// A person has voted twice.
    VotedTwice {
        /// The approval.
        approval: String,
        /// Who.
        person: Person,
    },
    /// The data cannot be read.
    Data(WireError),
    /// What was shown cannot be read.
    Shown {
        /// The approval.
        approval: String,
        /// Why not.
        cause: WireError,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherWorkflow { wanted, found } => {
                let found = excerpt(found);
                write!(f, "wanted an instance of `{wanted}`, and found one of {found}")
            }
            Self::UnknownVersion { wanted, found } => write!(
                f,
                "wanted an instance of version {wanted}, and found version {found}: run \
                 the program that knows it, or let this table follow it"
            ),
            Self::NotFollowed { version, reason } => {
                write!(f, "this table does not follow version {version} here: {reason}")
            }
            Self::LedAstray { from: (from, old), to: (to, new) } => write!(
                f,
                "wanted a stage that waits for what `{from}` of {} waits for, and found \
                 `{to}` of {new:?}: nothing is sent where an instance is led over",
                excerpt(old)
            ),
            Self::UndoForgotten { step } => write!(
                f,
                "the step `{step}` was done, and the table has no undo for it before the \
                 stage that follows: keep the step, or refuse the instance"
            ),
            Self::TableChanged { version, wanted, found } => write!(
                f,
                "the table of version {version} has the fingerprint {wanted:#018x}, and the \
                 instance began under {found:#018x}: a changed table is another version"
            ),
            Self::NoSuchStage { status, step } => write!(
                f,
                "the table has no stage `{status}` of a step {}: was the step renamed or \
                 removed?",
                excerpt(step)
            ),
            Self::NoDeadline { status } => {
                write!(f, "an instance that is {status} waits, and found no deadline")
            }
            Self::DeadlineOfNothing { status, found } => write!(
                f,
                "an instance that is {status} waits for nothing, and found the deadline \
                 {}",
                found.to_rfc3339()
            ),
            Self::Question { status, wanted: true, found } => {
                write!(f, "an instance that is {status} asks people, and found {found}")
            }
            Self::Question { status, wanted: false, found } => {
                write!(f, "an instance that is {status} asks nobody, and found {found}")
            }
            Self::NeverStored => {
                f.write_str("a stored instance has a revision, and found 0")
            }
            Self::Round { most, found } => {
                write!(f, "wanted a round from 1 to {most}, and found round {found}")
            }
            Self::AwaitsOther { wanted, found } => {
                let id = |id: &Option<EventId>| {
                    id.as_ref().map_or_else(|| "none".to_owned(), EventId::to_string)
                };
                let (wanted, found) = (id(wanted), id(found));
                write!(
                    f,
                    "wanted the command {wanted} as the awaited one, and found {found}"
                )
            }
            Self::Requester { wanted, found } => {
                let found = found.as_ref().map_or("nobody", Person::name);
                match wanted {
                    Some(role) => {
                        write!(f, "wanted the person who began it as {role}, and found ")?;
                    }
                    None => f.write_str(
                        "nobody in particular begins an instance of this table, and found ",
                    )?,
                }
                f.write_str(found)
            }
            Self::ClearanceMissing { approval, found } => write!(
                f,
                "wanted the approval `{approval}` once, given or not needed, and found it \
                 {found} times"
            ),
            Self::ClearedAhead { approval } => write!(
                f,
                "the instance has not reached the approval `{approval}`, and found it given"
            ),
            Self::TooFewVotes { approval, found } => write!(
                f,
                "wanted as many votes for `{approval}` as a level of its chain asks for, \
                 and found {found}, not enough of one role: was the chain changed?"
            ),
            Self::NoSuchApproval { found } => {
                write!(f, "the table has no approval {}", excerpt(found))
            }
            Self::ClearedByAsker { approval, person } => write!(
                f,
                "wanted votes for `{approval}` of other people than the one who asks, and \
                 found {person}'s"
            ),
            Self::ClearedByAmender { approval, person } => write!(
                f,
                "wanted votes for `{approval}` of other people than those who have \
                 amended it, and found {person}'s"
            ),
            Self::AmendersMissing { wanted, found } => write!(
                f,
                "wanted the names of at least {wanted} who have amended it, and found \
                 {found}: its journal has them"
            ),
            Self::SeenOther { approval, seen, now } => write!(
                f,
                "wanted votes for `{approval}` about what is shown ({now}), and found one \
                 about {seen}"
            ),
            Self::VotedTwice { approval, person } => {
                write!(
                    f,
                    "wanted one vote of each person for `{approval}`, and {person} has two"
                )
            }
            Self::Data(_) => f.write_str("the data of the instance cannot be read"),
            Self::Shown { approval, .. } => {
                write!(f, "what the approval `{approval}` shows cannot be read")
            }
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Data(cause) | Self::Shown { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
