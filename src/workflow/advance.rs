//! `Advance`: a step that is taken and not yet stored, with all that is stored and sent
//! together with it.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::approval::Question;
use super::calendar::Calendar;
use super::command::Command;
use super::definition::{Kind, Step, Wait};
use super::id::{Correlation, InstanceId};
use super::instance::{self, Facts, Instance};
use super::journal::{Cause, Entry};
use super::question;
use super::record::InstanceRecord;
use super::role::Directory;
use super::stage::{Stage, Status, Workflow};
use super::wire::{Wire, WireError};
use crate::envelope::to_micros;
use crate::event::BuildError;
use crate::state::Pending;
use crate::{Decision, Envelope, EventId};

/// A step that is taken and not stored: the instance at stage `S`, its commands, its
/// deadline and its entry in the journal.
///
/// Only a store opens it, and stores and sends all of it in one transaction, so that no
/// command leaves without the state that it follows from.
#[must_use = "the step is not stored: hand it to `store`, in the transaction that received its cause"]
pub struct Advance<S: Stage> {
    any: AnyAdvance<S::Workflow>,
    stage: PhantomData<fn() -> S>,
}

/// An [`Advance`] whose stage is known only when the program runs.
#[must_use = "the step is not stored: hand it to `store`, in the transaction that received its cause"]
pub struct AnyAdvance<W: Workflow> {
    facts: Box<Facts<W::Data>>,
    status: Status,
    step: Option<&'static Step>,
    deadline: Deadline,
    entry: Entry,
    recall: Option<Recall>,
    /// The command whose step is given up: it is taken back where it has not left.
    given_up: Option<EventId>,
}

/// When a stage's time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    /// Never: it is over.
    Never,
    /// After this span.
    In(Duration),
    /// When it was to pass before the step: a vote moves no deadline.
    Kept,
    /// At this moment, which a person has set.
    At(DateTime<Utc>),
}

impl<S: Stage> Advance<S> {
    /// The instance enters the stage.
    pub(super) fn enter(at: Instance<S>, entry: Entry) -> Self {
        let span = match (S::STEP.map(|step| step.waits(S::STATUS)), &at.facts.question) {
            (Some(Wait::Reply(within)), _) => Some(within),
            (Some(Wait::People(chain)), Some(question)) => question.span(chain),
            _ => None,
        };
        let deadline = span.map_or(Deadline::Never, Deadline::In);
        Self::new(at, entry, deadline)
    }

    /// The instance stays, and its deadline with it.
    pub(super) fn stay(at: Instance<S>, entry: Entry) -> Self {
        Self::new(at, entry, Deadline::Kept)
    }

    /// The instance stays, and its deadline is at this moment.
    pub(super) fn stay_until(
        at: Instance<S>,
        entry: Entry,
        until: DateTime<Utc>,
    ) -> Self {
        Self::new(at, entry, Deadline::At(until))
    }

    fn new(at: Instance<S>, entry: Entry, deadline: Deadline) -> Self {
        let (facts, status, step) = (at.facts, S::STATUS, S::STEP);
        let (recall, given_up) = (None, None);
        let any = AnyAdvance { facts, status, step, deadline, entry, recall, given_up };
        Self { any, stage: PhantomData }
    }

    /// The same step, which takes a command back.
    pub(super) fn recalling(mut self, recall: Option<Recall>) -> Self {
        self.any.recall = recall;
        self
    }

    /// The same step, which gives up what this command asks.
    pub(super) fn giving_up(mut self, command: Option<EventId>) -> Self {
        self.any.given_up = command;
        self
    }

    /// The same step, after which these steps stand.
    pub(super) fn standing(mut self, steps: Vec<&'static str>) -> Self {
        self.any.entry.standing = steps;
        self
    }

    /// The id of the instance.
    pub fn id(&self) -> InstanceId<S::Workflow> {
        InstanceId::stored(self.any.facts.id.clone())
    }

    /// What the instance is about, as of this step.
    pub fn data(&self) -> &<S::Workflow as Workflow>::Data {
        &self.any.facts.data
    }

    /// What leaves with the step. (What people are asked leaves too, made by the store.)
    pub fn commands(&self) -> &[Command] {
        &self.any.facts.commands
    }

    /// What the journal says of the step.
    pub fn entry(&self) -> &Entry {
        &self.any.entry
    }

    /// Puts the question of the step to the people there are: see
    /// [`AnyAdvance::put_to`].
    pub fn put_to(self, people: &dyn Directory) -> Self {
        Self { any: self.any.put_to(people), stage: PhantomData }
    }
}

impl<S: Stage> From<Advance<S>> for AnyAdvance<S::Workflow> {
    fn from(advance: Advance<S>) -> Self {
        advance.any
    }
}

impl<W: Workflow> AnyAdvance<W> {
    /// The id of the instance.
    pub fn id(&self) -> InstanceId<W> {
        InstanceId::stored(self.facts.id.clone())
    }

    /// The stage that the step leads to.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The step of that stage; an end has none.
    pub fn step(&self) -> Option<&'static str> {
        self.step.map(|step| step.name)
    }

    /// What leaves with the step. (What people are asked leaves too, made by the store.)
    pub fn commands(&self) -> &[Command] {
        &self.facts.commands
    }

    /// What the journal says of the step.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The question that the step leaves open.
    pub fn question(&self) -> Option<&Question> {
        self.facts.question.as_ref()
    }

    /// Puts the question of the step to the people there are: a level that has fewer
    /// people who may decide than it wants is passed at once, and where no level has
    /// enough, the question is for nobody and says so.
    ///
    /// A vote may leave too few, too: then the next level is asked with it.
    ///
    /// Read the directory before the transaction. A step that asks nobody is unchanged.
    pub fn put_to(mut self, people: &dyn Directory) -> Self {
        let wait = self.step.map(|step| (step.kind, step.waits(self.status)));
        let is_put = matches!(self.deadline, Deadline::In(_) | Deadline::Kept);
        if let (Some((kind, Wait::People(chain))), true) = (wait, is_put) {
            let Facts { question, requested_by, amended_by, .. } = &mut *self.facts;
            let authors = requested_by.iter().chain(&*amended_by);
            let authors = authors.filter(|_| kind == Kind::Approval).cloned();
            if let Some(question) = question {
                let before = (question.level, question.for_nobody);
                question.put_to(chain, &authors.collect::<Vec<_>>(), people);
                let is_kept = self.deadline == Deadline::Kept
                    && (question.level, question.for_nobody) == before;
                let span = question.span(chain).filter(|_| !is_kept);
                self.deadline = span.map_or(self.deadline, Deadline::In);
            }
        }
        self
    }

    /// The revision of the row that the step follows from; 0 where the instance begins.
    pub fn revision(&self) -> u64 {
        self.facts.revision
    }

    /// The command that the step takes back.
    pub(crate) fn recall(&self) -> Option<&Recall> {
        self.recall.as_ref()
    }

    /// What a store writes and enqueues, in one transaction.
    ///
    /// # Errors
    ///
    /// [`AdvanceError`] where something of the step has no stored form.
    pub(crate) fn write(
        &self,
        at: DateTime<Utc>,
        calendar: &dyn Calendar,
    ) -> Result<Written, AdvanceError> {
        let (record, commands) = self.record(at, calendar)?;
        let recall = self.recall.clone().or_else(|| self.taken_back(at));
        Ok(Written { record, commands, recall, entry: self.entry.clone() })
    }

    /// The command that is given up, with whose decision that is: a person's, or the
    /// table's.
    fn taken_back(&self, at: DateTime<Utc>) -> Option<Recall> {
        let command = self.given_up.clone()?;
        let decision = match &self.entry.by {
            Some(by) => by.decision.clone(),
            None if self.entry.cause == Cause::TimedOut => {
                Decision::new_at(W::NAME, "its deadline has passed", at).ok()?
            }
            None => Decision::new_at(W::NAME, "an earlier one was answered", at).ok()?,
        };
        Some(Recall { command, decision, though_sent: true })
    }

    /// Whether people are asked with this step: at each level, and where what they are to
    /// approve has changed, by a person or by a new version.
    fn asks(&self) -> bool {
        let has_changed = self.entry.cause == Cause::Amended || self.facts.asked_anew;
        matches!(self.deadline, Deadline::In(_)) || has_changed
    }

    fn record(
        &self,
        at: DateTime<Utc>,
        calendar: &dyn Calendar,
    ) -> Result<(InstanceRecord, Vec<Envelope<Pending>>), AdvanceError> {
        let facts = &*self.facts;
        if let Some(broken) = &facts.broken {
            return Err(broken.clone());
        }
        let step = self.step.map(|step| step.name);
        let due_at = match self.deadline {
            Deadline::Never => None,
            Deadline::In(span) => Some(to_micros(calendar.due(at, span).max(at))),
            Deadline::Kept => facts.due_at,
            Deadline::At(moment) => Some(to_micros(moment)),
        };
        let awaits =
            instance::correlation::<W>(&facts.id, self.status, step, facts.round);
        let record = InstanceRecord {
            workflow: W::NAME.to_owned(),
            version: W::VERSION,
            fingerprint: W::FINGERPRINT,
            id: facts.id.clone(),
            revision: facts.revision.saturating_add(1),
            status: self.status,
            step: step.map(str::to_owned),
            awaits: awaits.map(|correlation| correlation.command_id()),
            due_at,
            round: facts.round,
            question: facts.question.clone(),
            cleared: facts.cleared.clone(),
            requested_by: facts.requested_by.clone(),
            amended_by: facts.amended_by.clone(),
            data: facts.data.write().map_err(AdvanceError::Data)?,
        };
        let built = |command: &Command| command.envelope(W::NAME, at);
        let mut commands =
            facts.commands.iter().map(built).collect::<Result<Vec<_>, _>>()?;
        if let (Some(step), true) = (self.step, self.asks()) {
            let asked = question::asked(&record, step, self.entry.cause, calendar);
            commands.extend(asked.map(|asked| asked.envelope(W::NAME, at)).transpose()?);
        }
        Ok((record, commands))
    }
}

impl<S: Stage> fmt::Debug for Advance<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}

impl<W: Workflow> fmt::Debug for AnyAdvance<W> {
    /// Everything but the data, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advance")
            .field("workflow", &W::NAME)
            .field("id", &self.facts.id)
            .field("status", &self.status)
            .field("step", &self.step())
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

/// What a store writes of a step and sends with it, in one transaction.
#[derive(Debug)]
pub(crate) struct Written {
    /// The row, whose revision is one more than that of the row that it takes the place
    /// of.
    pub(crate) record: InstanceRecord,
    /// What is enqueued.
    pub(crate) commands: Vec<Envelope<Pending>>,
    /// What is taken back, or the step is refused.
    pub(crate) recall: Option<Recall>,
    /// What the journal says.
    pub(crate) entry: Entry,
}

/// A command that is taken back in the transaction of the step that gives it up.
#[derive(Debug, Clone)]
pub(crate) struct Recall {
    /// The command.
    pub(crate) command: EventId,
    /// Who gives it up, or says that it has done nothing.
    #[allow(dead_code, reason = "for an outbox, which keeps it")]
    pub(crate) decision: Decision,
    /// Whether one that is out already is let go.
    pub(crate) though_sent: bool,
}

/// Something of a step has no stored form.
///
/// ```
/// use std::error::Error;
///
/// use integration_automation_patterns::workflow::{AdvanceError, WireError};
///
/// let error = AdvanceError::Data(WireError::new("a float that is no number"));
/// assert_eq!(error.to_string(), "the data of the instance cannot be written");
/// assert!(error.source().is_some());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AdvanceError {
    /// The data cannot be written.
    Data(WireError),
    /// A command cannot be written.
    Command {
        /// The step.
        step: &'static str,
        /// Why not.
        cause: WireError,
    },
    /// What people are to see cannot be written, or what they have seen cannot be read.
    Shown {
        /// The approval.
        approval: &'static str,
        /// Why not.
        cause: WireError,
    },
    /// A command is no event: its type is not `domain.entity.action`.
    Event(BuildError),
    /// The step needs an approval that nobody gave.
    NotCleared {
        /// The approval.
        approval: &'static str,
    },
    /// It was asked again, or amended, [as often as can be](Correlation::MOST_ROUNDS).
    NoRoundLeft {
        /// The step.
        step: &'static str,
    },
}

impl fmt::Display for AdvanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(_) => f.write_str("the data of the instance cannot be written"),
            Self::Command { step, .. } => {
                write!(f, "the command of the step `{step}` cannot be written")
            }
            Self::Shown { approval, .. } => {
                write!(f, "what the approval `{approval}` shows has no stored form")
            }
            Self::Event(_) => f.write_str("a command of the step is no event"),
            Self::NotCleared { approval } => {
                write!(f, "the step needs the approval `{approval}`, and found none")
            }
            Self::NoRoundLeft { step } => write!(
                f,
                "the step `{step}` was asked {} times, and is not asked again: settle it",
                Correlation::MOST_ROUNDS
            ),
        }
    }
}

impl Error for AdvanceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Data(cause) => Some(cause),
            Self::Command { cause, .. } | Self::Shown { cause, .. } => Some(cause),
            Self::Event(cause) => Some(cause),
            Self::NotCleared { .. } | Self::NoRoundLeft { .. } => None,
        }
    }
}
