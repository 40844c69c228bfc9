//! What machines do with a stored instance: from a record, a reply, a deadline or a
//! person's decision to the verb, without input or output.

use super::advance::AnyAdvance;
use super::approval::NotDecidedError;
use super::follow::News;
use super::id::{Correlation, InstanceId, Part, Seen};
use super::instance::{Facts, Instance};
use super::intervene::{Intervened, Intervention};
use super::journal::{Cause, Entry};
use super::made::{Drive, Stored, Visitor};
use super::record::{InstanceRecord, RecordError};
use super::reply::ReplyError;
use super::role::AnyRuling;
use super::stage::{Status, Workflow};
use super::wire::Wire;
use crate::{Decision, RawEvent, Refused};

/// What came of a reply or a deadline.
#[derive(Debug)]
#[must_use = "nothing is stored yet: store the step, or the entry of the late reply"]
pub enum Verdict<W: Workflow> {
    /// The instance takes a step: store it.
    Moved(AnyAdvance<W>),
    /// It waits for something else by now. The entry goes into the journal, and the
    /// event is confirmed: late is neither an error nor without trace.
    Late(W::Any, Entry),
}

/// What a person decides, where the stage is known only when the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// Approve what they saw.
    Approve(Seen),
    /// Refuse.
    Refuse,
    /// Take their vote back.
    Withdraw,
    /// Cancel the instance.
    Cancel,
    /// Say that a silent step happened, with the reply that it would have sent.
    Happened(RawEvent),
    /// Say that a silent step did not happen.
    DidNotHappen {
        /// Whether they vouch for a command that is out already.
        though_sent: bool,
    },
    /// Have a silent step asked again.
    AskAgain,
    /// Close the instance.
    GiveUp,
}

impl Choice {
    /// The verb.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
            Self::Cancel => "cancel",
            Self::Happened(_) => "say that it happened",
            Self::DidNotHappen { .. } => "say that it did not happen",
            Self::AskAgain => "ask again",
            Self::GiveUp => "give up",
        }
    }
}

/// Where an instance stands, and what can be asked of it at any stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing<W> {
    /// The id.
    pub id: InstanceId<W>,
    /// The revision of the row that it came from.
    pub revision: u64,
    /// Where it stands with the step.
    pub status: Status,
    /// The step; an end has none.
    pub step: Option<&'static str>,
}

/// What machines do with a stored instance: every workflow has it.
///
/// A store loads the row, calls one of these, and stores what it says in the same
/// transaction. All of it is pure, and calls the same verbs as a program that has an
/// instance in hand.
pub trait Driven: Workflow {
    /// The instance that a record describes: the one way in for what is stored.
    ///
    /// # Errors
    ///
    /// [`RecordError`], with the record given back.
    fn rehydrate(
        record: InstanceRecord,
    ) -> Result<Self::Any, Refused<InstanceRecord, RecordError>>;

    /// Where the instance stands.
    fn standing(at: Self::Any) -> (Self::Any, Standing<Self>);

    /// The verb for a reply: the reply is an answer where it is awaited, or late.
    ///
    /// # Errors
    ///
    /// [`ReplyError`], with the instance given back, where the reply answers what is
    /// awaited and cannot be taken, or answers a step that the table does not have.
    fn reply(
        at: Self::Any,
        to: &Correlation,
        event: &RawEvent,
    ) -> Result<Verdict<Self>, Refused<Self::Any, ReplyError>>;

    /// The verb for a deadline that has passed. An end has none, and is late.
    fn due(at: Self::Any) -> Verdict<Self>;

    /// The verb for what a person decides.
    ///
    /// # Errors
    ///
    /// [`NotDecidedError`], with the instance given back.
    fn decide(
        at: Self::Any,
        choice: Choice,
        ruling: AnyRuling,
    ) -> Result<AnyAdvance<Self>, Refused<Self::Any, NotDecidedError>>;

    /// The step of an operator who changes a wait.
    ///
    /// # Errors
    ///
    /// [`NotDecidedError`], with the instance given back, where it does not wait, or not
    /// for people, or for those of the last level.
    fn intervene(
        at: Self::Any,
        intervention: Intervention,
        decision: Decision,
    ) -> Result<AnyAdvance<Self>, Refused<Self::Any, NotDecidedError>>;
}

impl<W: Workflow> Driven for W {
    fn rehydrate(
        record: InstanceRecord,
    ) -> Result<W::Any, Refused<InstanceRecord, RecordError>> {
        match stored::<W>(&record) {
            Ok(at) => Ok(at),
            Err(cause) => Err(Refused::new(record, cause)),
        }
    }

    fn standing(at: W::Any) -> (W::Any, Standing<W>) {
        W::visit(at, Standings)
    }

    fn reply(
        at: W::Any,
        to: &Correlation,
        event: &RawEvent,
    ) -> Result<Verdict<W>, Refused<W::Any, ReplyError>> {
        W::visit(at, Replied { to, event })
    }

    fn due(at: W::Any) -> Verdict<W> {
        W::visit(at, Due)
    }

    fn decide(
        at: W::Any,
        choice: Choice,
        ruling: AnyRuling,
    ) -> Result<AnyAdvance<W>, Refused<W::Any, NotDecidedError>> {
        W::visit(at, Decided { choice, ruling })
    }

    fn intervene(
        at: W::Any,
        intervention: Intervention,
        decision: Decision,
    ) -> Result<AnyAdvance<W>, Refused<W::Any, NotDecidedError>> {
        W::visit(at, Intervened { intervention, decision })
    }
}

/// The instance of a record, led over where its version is an earlier one.
pub(super) fn stored<W: Workflow>(
    record: &InstanceRecord,
) -> Result<W::Any, RecordError> {
    if record.workflow == W::NAME && record.version < W::VERSION {
        return W::lead(record);
    }
    check::<W>(record)?;
    let data = W::Data::read(&record.data).map_err(RecordError::Data)?;
    place::<W>(record, data, News::default())
}

/// What can be checked of a record without its data.
pub(super) fn check<W: Workflow>(record: &InstanceRecord) -> Result<(), RecordError> {
    record.check(&W::DEFINITION)?;
    let question = record.question.as_ref().and_then(|question| question.shown.as_ref());
    let shown = record.step.as_ref().zip(question);
    let cleared = record.cleared.iter().map(|one| (&one.approval, &one.shown));
    for (approval, shown) in cleared.chain(shown) {
        W::check_shown(approval, shown)
            .map_err(|cause| RecordError::Shown { approval: approval.clone(), cause })?;
    }
    Ok(())
}

/// The instance of a record that was checked, with its data.
pub(super) fn place<W: Workflow>(
    record: &InstanceRecord,
    data: W::Data,
    News { asked_anew, commands }: News,
) -> Result<W::Any, RecordError> {
    let facts = Facts {
        id: record.id.clone(),
        revision: record.revision,
        data,
        requested_by: record.requested_by.clone(),
        amended_by: record.amended_by.clone(),
        round: record.round,
        due_at: record.due_at,
        question: record.question.clone(),
        cleared: record.cleared.clone(),
        asked_anew,
        commands,
        broken: None,
    };
    let (status, step) = (record.status, record.step.clone().unwrap_or_default());
    W::place(Stored::new(Box::new(facts), status, step)).map_err(|stored| {
        RecordError::NoSuchStage {
            status: stored.status(),
            step: stored.step().to_owned(),
        }
    })
}

struct Standings;

impl<W: Workflow> Visitor<W> for Standings {
    type Out = (W::Any, Standing<W>);

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out {
        let standing = Standing {
            id: at.id(),
            revision: at.revision(),
            status: S::STATUS,
            step: S::STEP.map(|step| step.name),
        };
        (S::any(at), standing)
    }
}

struct Replied<'a> {
    to: &'a Correlation,
    event: &'a RawEvent,
}

impl Replied<'_> {
    /// Whether an instance at this stage listens for replies to this command.
    fn is_awaited<S: Drive>(&self, at: &Instance<S>) -> bool {
        let Some(awaited) = at.correlation() else { return false };
        let same_step = awaited.instance() == self.to.instance()
            && awaited.step() == self.to.step()
            && awaited.workflow() == self.to.workflow();
        let same_part = matches!(
            (S::STATUS, self.to.part()),
            (Status::Awaiting, Part::Do)
                | (Status::Forestalling | Status::Parked, Part::Do | Part::Forestall)
                | (Status::Undoing | Status::Stuck, Part::Undo)
        );
        // The answer to an earlier asking is one too.
        same_step && same_part && self.to.round() <= awaited.round()
    }
}

impl<W: Workflow> Visitor<W> for Replied<'_> {
    type Out = Result<Verdict<W>, Refused<W::Any, ReplyError>>;

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out {
        let Some(step) = W::DEFINITION.step(self.to.step()) else {
            let found = self.to.step().into();
            return Err(Refused::new(S::any(at), ReplyError::NoSuchStep { found }));
        };
        if !self.is_awaited(&at) {
            return Ok(Verdict::Late(
                S::any(at),
                Entry::new(Cause::Late, Some(step.name), None),
            ));
        }
        match S::reply(at, self.event) {
            Ok(advance) => Ok(Verdict::Moved(advance)),
            Err(refused) => {
                let (at, cause) = refused.into_parts();
                Err(Refused::new(S::any(at), cause))
            }
        }
    }
}

struct Due;

impl<W: Workflow> Visitor<W> for Due {
    type Out = Verdict<W>;

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Verdict<W> {
        let step = S::STEP.map(|step| step.name);
        match S::due(at) {
            Ok(advance) => Verdict::Moved(advance),
            Err(at) => Verdict::Late(S::any(at), Entry::new(Cause::Late, step, None)),
        }
    }
}

struct Decided {
    choice: Choice,
    ruling: AnyRuling,
}

impl<W: Workflow> Visitor<W> for Decided {
    type Out = Result<AnyAdvance<W>, Refused<W::Any, NotDecidedError>>;

    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out {
        S::decide(at, self.choice, self.ruling).map_err(|refused| {
            let (at, cause) = refused.into_parts();
            Refused::new(S::any(at), cause)
        })
    }
}
