//! What machines do at a stage: the verb for a reply, for a deadline, for a decision.

use std::any::TypeId;

use super::*;
use crate::workflow::instance::chain;
use crate::workflow::reply::{self, Forestalled};
use crate::workflow::settle::Settling;
use crate::workflow::stage::{
    Answers, Cancels, Decides, Happens, MaySettle, MustSucceed, Refuses, Undecided,
    Undoes, Waits,
};

/// No reply of the stage has this type.
pub(super) fn unexpected<S: Stage>(
    at: Instance<S>,
    event: &RawEvent,
    wanted: Vec<&'static str>,
) -> Refused<Instance<S>, ReplyError> {
    let found = event.event_type().into();
    Refused::new(at, ReplyError::Unexpected { wanted, found })
}

/// The one reply that a retriable step has.
pub fn done<S: Stage, N: Commanded>(at: Instance<S>, event: &RawEvent) -> Answer<S>
where
    N::Done: Answers<S>,
{
    match reply::read::<N::Done>(event) {
        Some(Ok(reply)) => Ok(at.done(reply).into()),
        Some(Err(cause)) => Err(Refused::new(at, cause)),
        None => Err(unexpected(at, event, vec![N::Done::TYPE])),
    }
}

/// The two replies of a step that can be refused.
pub fn done_or_refused<S, N>(at: Instance<S>, event: &RawEvent) -> Answer<S>
where
    S: Stage,
    N: Refusable,
    N::Done: Answers<S>,
    N::Refused: Refuses<S>,
{
    match reply::read::<N::Refused>(event) {
        Some(Ok(reply)) => Ok(at.refused(reply).into()),
        Some(Err(cause)) => Err(Refused::new(at, cause)),
        None if event.event_type() == N::Done::TYPE => done::<S, N>(at, event),
        None => Err(unexpected(at, event, vec![N::Done::TYPE, N::Refused::TYPE])),
    }
}

/// The replies of a pivot that its participant may have forestalled.
pub fn done_or_never<S, N>(at: Instance<S>, event: &RawEvent) -> Answer<S>
where
    S: Stage,
    N: Refusable,
    N::Done: Answers<S>,
    N::Refused: Refuses<S>,
    Forestalled: Refuses<S>,
{
    match reply::read::<Forestalled>(event) {
        Some(Ok(reply)) => Ok(at.refused(reply).into()),
        Some(Err(cause)) => Err(Refused::new(at, cause)),
        None => done_or_refused::<S, N>(at, event),
    }
}

/// The reply of an undo.
pub fn undone<S: Stage, N: Undoable>(at: Instance<S>, event: &RawEvent) -> Answer<S>
where
    N::Undone: Undoes<S>,
{
    match reply::read::<N::Undone>(event) {
        Some(Ok(reply)) => Ok(at.undone(reply).into()),
        Some(Err(cause)) => Err(Refused::new(at, cause)),
        None => Err(unexpected(at, event, vec![N::Undone::TYPE])),
    }
}

/// The verb of a deadline.
pub fn due<S, Late>(at: Instance<S>) -> Due<S>
where
    S: Waits<Late>,
    Late: Into<AnyAdvance<S::Workflow>>,
{
    Ok(at.timed_out().into())
}

/// There is no such answer here.
pub fn closed<S: Stage>(
    at: Instance<S>,
    choice: &'static str,
) -> Refused<Instance<S>, NotDecidedError> {
    let (status, step) = (S::STATUS, name::<S>());
    Refused::new(at, NotDecidedError::Closed { choice, status, step })
}

/// A role that is asked at a stage, and what a ruling of it decides.
pub struct Asks<S: Stage> {
    role: TypeId,
    decide: fn(Instance<S>, Choice, Granted<S>) -> Decided<S>,
}

impl<S: Stage> Asks<S> {
    /// A role that approves.
    pub fn approval<R: Decides<S> + 'static>() -> Self {
        let _ = R::BY_TABLE;
        Self { role: TypeId::of::<R>(), decide: decide_as::<S, R> }
    }

    /// A role that settles, by the words that are legal at the stage.
    pub fn settling<R: MaySettle<S> + 'static>(
        decide: fn(Instance<S>, Choice, Granted<S>) -> Decided<S>,
    ) -> Self {
        let _ = R::BY_TABLE;
        Self { role: TypeId::of::<R>(), decide }
    }
}

/// The verb of a decision in one of the roles that are asked. Cancelling takes no
/// role, so that another one would not help where nothing can be cancelled.
pub fn by_role<S: Stage>(
    at: Instance<S>,
    choice: Choice,
    ruling: AnyRuling,
    roles: &[Asks<S>],
) -> Decided<S> {
    if choice == Choice::Cancel {
        return Err(closed(at, choice.as_str()));
    }
    match roles.iter().find(|asked| ruling.is_of(asked.role)) {
        Some(asked) => (asked.decide)(at, choice, Granted::compared(ruling)),
        None => {
            let wanted = chain::<S>().iter().map(|level| level.role).collect();
            let found = ruling.role();
            Err(Refused::new(at, NotDecidedError::WrongRole { wanted, found }))
        }
    }
}

/// The one verb of people where a reply is awaited. It keeps for whom they act, and no
/// role, since it asks none.
pub fn cancel<S, Back>(at: Instance<S>, choice: Choice, ruling: AnyRuling) -> Decided<S>
where
    S: Cancels<Advance<Back>>,
    Back: Stage<Workflow = S::Workflow>,
{
    match choice {
        Choice::Cancel => Ok(at.cancel(By { role: None, ..ruling.into() }).into()),
        other => Err(closed(at, other.as_str())),
    }
}

/// The verb of a decision where people decide, and may cancel too.
pub fn by_role_or_cancel<S, Back>(
    at: Instance<S>,
    choice: Choice,
    ruling: AnyRuling,
    roles: &[Asks<S>],
) -> Decided<S>
where
    S: Cancels<Advance<Back>>,
    Back: Stage<Workflow = S::Workflow>,
{
    match choice {
        Choice::Cancel => cancel(at, choice, ruling),
        choice => by_role(at, choice, ruling, roles),
    }
}

fn decide_as<S: Stage, R: Decides<S>>(
    at: Instance<S>,
    choice: Choice,
    granted: Granted<S>,
) -> Decided<S> {
    match choice {
        Choice::Approve(seen) => at.approve_as::<R>(granted, seen).map(Into::into),
        Choice::Refuse => at.refuse_as::<R>(granted).map(Into::into),
        Choice::Withdraw => at.withdraw_as(granted).map(Into::into),
        other => Err(closed(at, other.as_str())),
    }
}

/// The word about a step that can still be taken back.
pub fn undecided<S, N, Back>(
    at: Instance<S>,
    choice: Choice,
    granted: Granted<S>,
) -> Decided<S>
where
    S: Stage + Undecided<Advance<Back>>,
    N: Commanded,
    N::Done: Happens<S>,
    Back: Stage<Workflow = S::Workflow>,
{
    match choice {
        Choice::Happened(event) => happened::<S, N::Done>(at, &event, granted),
        Choice::DidNotHappen { though_sent } => {
            Ok(S::did_not_happen(at, granted, though_sent).into())
        }
        other => Err(closed(at, other.as_str())),
    }
}

/// The word about a retriable step.
pub fn must_be_done<S, N, Again>(
    at: Instance<S>,
    choice: Choice,
    granted: Granted<S>,
) -> Decided<S>
where
    S: Stage + MustSucceed<Advance<Again>>,
    N: Commanded,
    N::Done: Happens<S>,
    Again: Stage<Workflow = S::Workflow>,
{
    must_succeed::<S, N::Done, Again>(at, choice, granted)
}

/// The word about an undo.
pub fn must_be_undone<S, N, Again>(
    at: Instance<S>,
    choice: Choice,
    granted: Granted<S>,
) -> Decided<S>
where
    S: Stage + MustSucceed<Advance<Again>>,
    N: Undoable,
    N::Undone: Happens<S>,
    Again: Stage<Workflow = S::Workflow>,
{
    must_succeed::<S, N::Undone, Again>(at, choice, granted)
}

fn must_succeed<S, Done, Again>(
    at: Instance<S>,
    choice: Choice,
    granted: Granted<S>,
) -> Decided<S>
where
    S: Stage + MustSucceed<Advance<Again>>,
    Done: Event + Wire + Happens<S>,
    Again: Stage<Workflow = S::Workflow>,
{
    match choice {
        Choice::Happened(event) => happened::<S, Done>(at, &event, granted),
        Choice::AskAgain => Ok(S::ask_again(at, granted).into()),
        Choice::GiveUp => Ok(S::give_up(at, granted).into()),
        other => Err(closed(at, other.as_str())),
    }
}

fn happened<S: Stage, Done: Event + Wire + Happens<S>>(
    at: Instance<S>,
    event: &RawEvent,
    granted: Granted<S>,
) -> Decided<S> {
    match reply::read::<Done>(event) {
        Some(Ok(reply)) => Ok(Settling::new(at, granted).happened(reply).into()),
        Some(Err(cause)) => Err(Refused::new(at, NotDecidedError::Reply(cause))),
        None => {
            let (at, cause) = unexpected(at, event, vec![Done::TYPE]).into_parts();
            Err(Refused::new(at, NotDecidedError::Reply(cause)))
        }
    }
}
