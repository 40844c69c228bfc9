//! `WaitsFor`: what an instance waits for, and what a person does where it waits too long.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::EventId;

/// What an instance waits for.
///
/// Its text is a line for people, and ends in what to do about it.
///
/// ```
/// use integration_automation_patterns::workflow::WaitsFor;
///
/// let reason = "no holidays of 2027".to_owned();
/// let turn = WaitsFor::Turn { failures: 3, reason, again_at: None };
/// assert_eq!(
///     turn.to_string(),
///     "a clerk's next look, since 3 have failed (no holidays of 2027): mend that, then \
///      take it up"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitsFor {
    /// It is over.
    Nothing,
    /// A participant's reply to a command. Where the command has not left, see that a relay
    /// runs; where it has, look into the participant's inbox, and into the view's
    /// [`dead_replies`](super::InstanceView::dead_replies).
    Reply {
        /// The id of the command.
        command: Option<EventId>,
        /// How far the command is in the outbox; nothing where it is purged.
        state: Option<CommandState>,
    },
    /// A decision of people. They decide, or somebody in their place; or you
    /// [`reassign`](super::Desk::reassign) it to the next level.
    People {
        /// The role that is asked.
        role: &'static str,
        /// The level of the chain, from 0.
        level: u32,
        /// Since when this level is asked.
        since: DateTime<Utc>,
        /// When this level is reminded, where that is still to come.
        remind_at: Option<DateTime<Utc>>,
        /// How many people of the role must agree.
        wanted: u32,
        /// How many of them have.
        agreed: usize,
        /// The other levels of the chain in their order: the votes of their roles count,
        /// whichever level is asked.
        other_levels: Vec<LevelVotes>,
        /// Whether nobody there is may answer: give somebody the role.
        for_nobody: bool,
    },
    /// A clerk's next look: its turn has failed. Mend the reason, and
    /// [`take_up`](super::Desk::take_up) the instance.
    Turn {
        /// How often in a row.
        failures: u32,
        /// Why, the last time.
        reason: String,
        /// When a clerk looks again.
        again_at: Option<DateTime<Utc>>,
    },
    /// A repair: its row cannot be led into the table. Run the program that knows the row,
    /// or mend the row.
    Repair {
        /// Why not.
        reason: String,
    },
    /// Unknown: give the desk the table of its workflow ([`of`](super::Desk::of)).
    OtherTable,
}

/// How far a command is in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandState {
    /// The state of the event, in the outbox's word.
    pub status: String,
    /// How often it was sent.
    pub attempts: i64,
    /// Why it failed the last time, where it did.
    pub failure: Option<String>,
}

/// The votes for one level of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelVotes {
    /// The role of the level.
    pub role: &'static str,
    /// How many people of the role must agree.
    pub wanted: u32,
    /// How many of them have.
    pub agreed: usize,
}

/// A reply that is a dead letter of the inbox: the instance has not taken it, and waits on.
///
/// Mend what its reason names, then redrive it in the inbox; one that is no answer of the
/// step is discarded there, and its participant answers anew or the step is settled.
///
/// Its text is a line for people, and ends in what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadReply {
    /// Who has sent it.
    pub source_system: String,
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// Why the inbox could not take it.
    pub failure: String,
    /// When it failed.
    pub failed_at: Option<DateTime<Utc>>,
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing: it is over"),
            Self::Reply { command, state } => match command {
                Some(command) => write_reply(f, command, state.as_ref()),
                None => f.write_str("a reply: look into the participant's inbox"),
            },
            Self::People { .. } => self.write_people(f),
            Self::Turn { failures, reason, again_at } => {
                f.write_str("a clerk's next look")?;
                if let Some(again_at) = again_at {
                    write!(f, " at {}", time(*again_at))?;
                }
                write!(
                    f,
                    ", since {failures} have failed ({reason}): mend that, then take it up"
                )
            }
            Self::Repair { reason } => write!(
                f,
                "a repair ({reason}): run the program that knows the row, or mend the row"
            ),
            Self::OtherTable => f.write_str(
                "what its table says, which is unknown here: give the desk the table",
            ),
        }
    }
}

impl WaitsFor {
    fn write_people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::People {
            role,
            level,
            since,
            remind_at,
            wanted,
            agreed,
            other_levels,
            for_nobody,
        } = self
        else {
            return Ok(());
        };
        write!(
            f,
            "{role} at level {level} since {}, {agreed} of {wanted}",
            time(*since)
        )?;
        for LevelVotes { role, wanted, agreed } in other_levels {
            write!(f, ", {role} {agreed} of {wanted}")?;
        }
        if let Some(remind_at) = remind_at {
            write!(f, ", a reminder at {}", time(*remind_at))?;
        }
        let is_last = usize::try_from(*level).is_ok_and(|at| at >= other_levels.len());
        f.write_str(match (for_nobody, is_last) {
            (true, _) => ", and nobody may answer: give somebody the role",
            (false, true) => ": they decide, or somebody in their place",
            (false, false) => ": they decide, or reassign it to the next level",
        })
    }
}

fn write_reply(
    f: &mut fmt::Formatter<'_>,
    command: &EventId,
    state: Option<&CommandState>,
) -> fmt::Result {
    let Some(CommandState { status, attempts, failure }) = state else {
        return write!(
            f,
            "the reply to {command}, which the outbox has no more: look into the \
             participant's inbox"
        );
    };
    write!(f, "the reply to {command}, {status} after {attempts} attempts")?;
    if let Some(failure) = failure {
        write!(f, " ({failure})")?;
    }
    let remedy = match status.as_str() {
        "pending" | "retrying" => "see that a relay runs",
        "failed" => "redrive it",
        "skipped" => "postpone its deadline to now, so that the table goes on without it",
        _ => "look into the participant's inbox",
    };
    write!(f, ": {remedy}")
}

impl fmt::Display for DeadReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source_system, id, event_type, failure, .. } = self;
        write!(
            f,
            "the reply `{event_type}`, {id} of {source_system}, is a dead letter of the \
             inbox ({failure}): mend that and redrive it, or discard it and settle the step"
        )
    }
}
