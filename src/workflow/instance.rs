//! `Instance`: one run of a workflow at a stage, and its verbs.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};

use super::advance::{Advance, AdvanceError};
use super::approval::{Clearance, Granted, NotDecidedError, Question, Vote};
use super::command::Command;
use super::definition::{Definition, Level, Step, Wait};
use super::id::{Correlation, InstanceId, Part, Seen};
use super::journal::By;
use super::role::{Actor, AnyRuling, Person, Role, Ruling, shared};
use super::settle::Settling;
use super::stage::{
    Amends, Answers, Cancels, Decides, MaySettle, Refuses, Stage, Status, Undoes, Waits,
    Workflow,
};
use crate::{EventId, Refused};

/// What holds of an instance at every stage.
pub(crate) struct Facts<D> {
    pub(crate) id: EventId,
    pub(crate) revision: u64,
    pub(crate) data: D,
    pub(crate) requested_by: Option<Actor>,
    pub(crate) amended_by: Vec<Actor>,
    pub(crate) round: u32,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) question: Option<Question>,
    pub(crate) cleared: Vec<Clearance>,
    /// Whether the question is another one than people were asked: that of a new version.
    pub(crate) asked_anew: bool,
    /// What leaves with the next step, once it is stored.
    pub(crate) commands: Vec<Command>,
    /// Why the next step cannot be stored.
    pub(crate) broken: Option<AdvanceError>,
}

/// One run of a workflow, at stage `S`.
///
/// Each verb takes the instance and gives back what follows, an [`Advance`], which a
/// store takes in the transaction that received its cause. A verb exists only where the
/// table has it: an illegal step does not compile, and the error names the legal ones.
///
/// | verb | who says it | legal where |
/// |---|---|---|
/// | [`done`](Self::done), [`refused`](Self::refused) | the participant's reply | a step is awaited, or its silence is looked into |
/// | [`undone`](Self::undone) | the participant's reply | a step is undone |
/// | [`timed_out`](Self::timed_out) | the clock | everywhere but at the ends |
/// | [`approve`](Self::approve), [`refuse`](Self::refuse), [`withdraw`](Self::withdraw) | a person from a seat | an approval is awaited |
/// | [`amend`](Self::amend) | a person | an approval is awaited |
/// | [`settle`](Self::settle) | a person from a seat | a step or an undo is silent |
/// | [`cancel`](Self::cancel) | a person | before the pivot is sent |
///
/// It is one pointer, cannot be cloned, and comes of `start` or of a stored record alone.
#[must_use = "an instance is work that somebody waits for: take its next step, or leave its row as it is"]
pub struct Instance<S: Stage> {
    pub(crate) facts: Box<Facts<<S::Workflow as Workflow>::Data>>,
    pub(crate) stage: PhantomData<fn() -> S>,
}

impl<S: Stage> Instance<S> {
    pub(crate) fn at(facts: Box<Facts<<S::Workflow as Workflow>::Data>>) -> Self {
        Self { facts, stage: PhantomData }
    }

    /// The id.
    pub fn id(&self) -> InstanceId<S::Workflow> {
        InstanceId::stored(self.facts.id.clone())
    }

    /// What the instance is about.
    pub fn data(&self) -> &<S::Workflow as Workflow>::Data {
        &self.facts.data
    }

    /// How often it was stored.
    pub fn revision(&self) -> u64 {
        self.facts.revision
    }

    /// Who began it, where the table names the role that does.
    pub fn requested_by(&self) -> Option<&Actor> {
        self.facts.requested_by.as_ref()
    }

    /// Who has amended what it is about, each once, in the order of their amendments.
    pub fn amended_by(&self) -> &[Actor] {
        &self.facts.amended_by
    }

    /// When the clock moves it: its deadline, or the reminder of a question before that.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        self.facts.due_at
    }

    /// The question that is open, where people are asked.
    pub fn question(&self) -> Option<&Question> {
        self.facts.question.as_ref()
    }

    /// The approvals so far.
    pub fn cleared(&self) -> &[Clearance] {
        &self.facts.cleared
    }

    /// The command whose reply is listened for.
    pub fn correlation(&self) -> Option<Correlation> {
        let Facts { id, round, .. } = &*self.facts;
        correlation::<S::Workflow>(id, S::STATUS, S::STEP.map(|step| step.name), *round)
    }

    /// The fingerprint of what people are shown who are to approve.
    pub fn asked(&self) -> Seen {
        self.facts.question.as_ref().map_or(Seen::of(&[]), Question::seen)
    }

    /// The reply is there: what was asked is done.
    pub fn done<R: Answers<S>>(self, reply: R) -> R::Then {
        reply.done(self)
    }

    /// The reply is there: what was asked is refused, and nothing of it was done.
    pub fn refused<R: Refuses<S>>(self, reply: R) -> Advance<R::Back> {
        reply.refused(self)
    }

    /// The reply to an undo: the step before it is undone next. No other order can be
    /// written.
    pub fn undone<R: Undoes<S>>(self, reply: R) -> Advance<R::Back> {
        reply.undone(self)
    }

    /// The deadline has passed. The same command is never sent again: the step is undone,
    /// or its participant or a person is asked.
    pub fn timed_out<Late>(self) -> Late
    where
        S: Waits<Late>,
    {
        S::timed_out(self)
    }

    /// A person wants the whole undone, the step that is awaited first: from a seat, with
    /// role and delegate, or with a [`Decision`](crate::Decision) alone.
    pub fn cancel<Back>(self, by: impl Into<By>) -> Back
    where
        S: Cancels<Back>,
    {
        S::cancel(self, by.into())
    }

    /// A person approves what they have seen. With `N of` in the table, more may have to.
    ///
    /// # Errors
    ///
    /// [`NotDecidedError`], with the instance given back, where the person asks for it or
    /// has [amended](Self::amend) it themselves, or stands in for one who does; where one
    /// of the two has voted; and where something else is shown by now.
    pub fn approve<R: Role + Decides<S>>(
        self,
        ruling: Ruling<R>,
        seen: Seen,
    ) -> Result<R::Then, Refused<Self, NotDecidedError>> {
        self.approve_as::<R>(Granted::deciding(ruling), seen)
    }

    /// The same, by a word whose role was compared.
    pub(super) fn approve_as<R: Decides<S>>(
        mut self,
        mut granted: Granted<S>,
        seen: Seen,
    ) -> Result<R::Then, Refused<Self, NotDecidedError>> {
        match self.facts.vote(&granted.ruling, seen, chain::<S>()) {
            Ok(is_enough) => {
                granted.is_enough = is_enough;
                Ok(R::approved(self, granted))
            }
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }

    /// A person refuses: what was done is undone.
    ///
    /// # Errors
    ///
    /// [`NotDecidedError::OwnRequest`] and [`NotDecidedError::OwnAmendment`], with the
    /// instance given back: whoever asks, or has amended it, [cancels](Self::cancel)
    /// instead.
    pub fn refuse<R: Role + Decides<S>>(
        self,
        ruling: Ruling<R>,
    ) -> Result<Advance<R::Back>, Refused<Self, NotDecidedError>> {
        self.refuse_as::<R>(Granted::deciding(ruling))
    }

    /// The same, by a word whose role was compared.
    pub(super) fn refuse_as<R: Decides<S>>(
        self,
        granted: Granted<S>,
    ) -> Result<Advance<R::Back>, Refused<Self, NotDecidedError>> {
        match self.facts.check_own(granted.ruling.actor()) {
            Ok(()) => Ok(R::refused(self, granted)),
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }

    /// A person takes their vote back.
    ///
    /// # Errors
    ///
    /// [`NotDecidedError::NotVoted`], with the instance given back.
    pub fn withdraw<R: Role + Decides<S>>(
        self,
        ruling: Ruling<R>,
    ) -> Result<Advance<S>, Refused<Self, NotDecidedError>> {
        self.withdraw_as(Granted::deciding(ruling))
    }

    /// The same, by a word whose role was compared.
    pub(super) fn withdraw_as(
        mut self,
        granted: Granted<S>,
    ) -> Result<Advance<S>, Refused<Self, NotDecidedError>> {
        match self.facts.withdraw(&granted.ruling.actor().person) {
            Ok(()) => Ok(super::made::withdrawn(self, granted)),
            Err(cause) => Err(Refused::new(self, cause)),
        }
    }

    /// A person changes what is asked for. The votes are void, and people are asked anew;
    /// the deadline stays.
    ///
    /// Whoever amends decides neither on this approval nor on a later one of the
    /// instance, whoever amends after them; nor does the one in whose place they act. So
    /// take a [`Ruling`] where they may act for another, and a [`Decision`](crate::Decision) where not.
    ///
    /// ```
    /// # mod shop {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
    /// # }
    /// # use shop::*;
    /// # use integration_automation_patterns::workflow::Asked;
    /// use integration_automation_patterns::workflow::memory::Memory;
    /// use integration_automation_patterns::workflow::{InstanceId, NotDecidedError};
    /// use shop::order_to_cash::{self, Any, at};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut store, now) = (Memory::default(), "2026-01-05T08:00:00Z".parse()?);
    /// # let id = InstanceId::of("order 4711")?;
    /// # let anna = login::seat::<Sales>("anna")?;
    /// # store.begin(order_to_cash::start(id.clone(), Order::of(90_000), &anna), now)?;
    /// # let Some(Any::Awaiting(at::Awaiting::reserve_credit(order))) = store.load(&id)?
    /// # else { return Err("the first step is awaited".into()) };
    /// # store.store(order.done(CreditReserved), now)?;
    /// # let Some(Any::Awaiting(at::Awaiting::hold_stock(order))) = store.load(&id)?
    /// # else { return Err("the second step is awaited".into()) };
    /// # let Asked::Needed(asked) = order.done(StockHeld)
    /// # else { return Err("it is above the limit".into()) };
    /// # store.store(asked, now)?;
    /// # let Some(Any::Awaiting(at::Awaiting::over_limit(order))) = store.load(&id)?
    /// # else { return Err("an approval is awaited".into()) };
    /// let carl = login::seat::<Controller>("carl")?;
    /// let discount = carl.decide("the list price of last year")?;
    /// store.store(order.amend(|order| order.total = 80_000, discount), now)?;
    ///
    /// let Some(Any::Awaiting(at::Awaiting::over_limit(order))) = store.load(&id)? else {
    ///     return Err("the approval is still awaited".into());
    /// };
    /// let seen = order.asked();
    /// let refused = order.approve(carl.decide("a good customer")?, seen).unwrap_err();
    /// assert!(matches!(refused.cause(), NotDecidedError::OwnAmendment { .. }));
    ///
    /// let cora = login::seat::<Controller>("cora")?.decide("a good customer")?;
    /// assert!(refused.into_value().approve(cora, seen).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn amend(
        mut self,
        change: impl FnOnce(&mut <S::Workflow as Workflow>::Data),
        by: impl Into<By>,
    ) -> Advance<S>
    where
        S: Amends,
    {
        change(&mut self.facts.data);
        S::amended(self, by.into())
    }

    /// A person says what became of a step, or of an undo, that did not answer.
    pub fn settle<R: Role + MaySettle<S>>(self, ruling: Ruling<R>) -> Settling<S> {
        Settling::new(self, Granted::settling(ruling))
    }
}

impl<S: Stage> fmt::Debug for Instance<S> {
    /// Everything but the data, which may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("workflow", &S::Workflow::NAME)
            .field("id", &self.facts.id)
            .field("status", &S::STATUS)
            .field("step", &S::STEP.map(|step| step.name))
            .field("revision", &self.facts.revision)
            .finish_non_exhaustive()
    }
}

/// The levels of the question that a stage asks.
pub(super) fn chain<S: Stage>() -> &'static [Level] {
    match S::STEP.map(|step| step.waits(S::STATUS)) {
        Some(Wait::People(chain)) => chain,
        _ => &[],
    }
}

/// The command whose reply a stage listens for.
pub(super) fn correlation<W: Workflow>(
    id: &EventId,
    status: Status,
    step: Option<&str>,
    round: u32,
) -> Option<Correlation> {
    let step = W::DEFINITION.step(step?);
    asked(&W::DEFINITION, id, status, step, round)
}

/// The same, of a table.
pub(super) fn asked(
    table: &Definition,
    id: &EventId,
    status: Status,
    step: Option<&Step>,
    round: u32,
) -> Option<Correlation> {
    let part = match status {
        Status::Awaiting | Status::Parked => Part::Do,
        Status::Forestalling => Part::Forestall,
        Status::Undoing | Status::Stuck => Part::Undo,
        Status::Completed | Status::Undone | Status::GivenUp => return None,
    };
    let step = step.filter(|step| step.command.is_some())?;
    Some(Correlation::new(table.name, id, step.name, part, round))
}

impl<D> Facts<D> {
    /// Refuses a person's decision on what is their own.
    fn check_own(&self, actor: &Actor) -> Result<(), NotDecidedError> {
        if let Some(person) = shared(&self.requested_by, actor) {
            return Err(NotDecidedError::OwnRequest { person });
        }
        match shared(&self.amended_by, actor) {
            Some(person) => Err(NotDecidedError::OwnAmendment { person }),
            None => Ok(()),
        }
    }

    /// Notes who has amended it.
    pub(super) fn amended(&mut self, by: Actor) {
        if !self.amended_by.contains(&by) {
            self.amended_by.push(by);
        }
    }

    /// Counts a vote, and says whether it is enough.
    fn vote(
        &mut self,
        ruling: &AnyRuling,
        seen: Seen,
        chain: &[Level],
    ) -> Result<bool, NotDecidedError> {
        self.check_own(ruling.actor())?;
        let question = self.question.get_or_insert_default();
        if let Some(person) = question.voter(ruling.actor()) {
            return Err(NotDecidedError::VotedAlready { person: person.clone() });
        }
        let now = question.seen();
        if seen != now {
            return Err(NotDecidedError::Changed { seen, now });
        }
        question.votes.push(Vote::new(ruling, seen));
        Ok(question.is_granted(chain))
    }

    fn withdraw(&mut self, person: &Person) -> Result<(), NotDecidedError> {
        let question = self.question.get_or_insert_default();
        let before = question.votes.len();
        question.votes.retain(|vote| vote.actor.person != *person);
        if question.votes.len() < before {
            Ok(())
        } else {
            Err(NotDecidedError::NotVoted { person: person.clone() })
        }
    }
}
