//! What the code that [`workflow!`](crate::workflow!) makes calls, and nobody else: it
//! may change with any release. What moves an instance takes the table's private key.

mod answers;
mod law;
mod moves;
mod row;

use std::marker::PhantomData;

use super::advance::{Advance, AnyAdvance};
use super::approval::NotDecidedError;
use super::instance::{Facts, Instance};
use super::journal::{By, Cause};
use super::reply::ReplyError;
use super::role::Role;
use super::stage::{Completed, GivenUp, Stage, Status, Undone, Workflow};
use super::wire::Wire;
use crate::{Event, RawEvent, Refused};

pub use self::answers::*;
pub use self::law::*;
pub use self::moves::*;
pub use self::row::*;
pub use super::approval::Granted;
pub use super::definition::{Definition, Kind, Step};
pub use super::drive::Choice;
pub use super::instance::Instance as At;
pub use super::record::{InstanceRecord, RecordError};
pub use super::role::AnyRuling;
pub use super::stage::Declared;

/// The key of the table that a stage belongs to.
pub type KeyOf<S> = <<S as Stage>::Workflow as Workflow>::Key;

/// The proof that the table itself asks a role at a stage: nobody else has its key.
pub struct ByTable<R, S>(PhantomData<fn() -> (R, S)>);

/// The table asks a role at a stage.
pub const fn by_table<R, S: Stage>(_: &KeyOf<S>) -> ByTable<R, S> {
    ByTable(PhantomData)
}

/// An instance at any stage of the workflow of a stage.
pub type AnyOf<S> = <<S as Stage>::Workflow as Workflow>::Any;

/// A stage that can be entered: what leaves as it is, and what people are shown.
pub trait Enter: Stage {
    fn enter(at: &mut Instance<Self>, key: &KeyOf<Self>);
}

/// A place in the table that is entered from before: the step, or, past an approval that
/// is not needed, what stands behind it.
pub trait Entrance<W: Workflow> {
    type Then: Into<AnyAdvance<W>>;
    fn enter<A: Stage<Workflow = W>>(
        at: Instance<A>,
        moved: Moved,
        key: &W::Key,
    ) -> Self::Then;
}

/// A step with what stands behind it in the table.
pub trait Next: Declared {
    type To: Entrance<Self::Workflow>;
}

/// What follows where a step is done.
pub type ThenOf<N> = <<N as Next>::To as Entrance<<N as Declared>::Workflow>>::Then;

/// What follows where a step is entered.
pub type EntranceOf<N> = <N as Entrance<<N as Declared>::Workflow>>::Then;

/// Enters what stands behind a step.
pub fn on<A: Stage, N: Next<Workflow = A::Workflow>>(
    at: Instance<A>,
    moved: Moved,
    key: &KeyOf<A>,
) -> ThenOf<N> {
    N::To::enter(at, moved, key)
}

/// Enters a step.
pub fn enter<A: Stage, N>(at: Instance<A>, moved: Moved, key: &KeyOf<A>) -> EntranceOf<N>
where
    N: Declared<Workflow = A::Workflow> + Entrance<A::Workflow>,
{
    N::enter(at, moved, key)
}

/// A stage as machines drive it.
pub trait Drive: Stage {
    fn any(at: Instance<Self>) -> AnyOf<Self>;

    fn reply(at: Instance<Self>, event: &RawEvent) -> Answer<Self> {
        Err(unexpected(at, event, Vec::new()))
    }

    fn due(at: Instance<Self>) -> Due<Self> {
        Err(at)
    }

    fn decide(at: Instance<Self>, choice: Choice, _: AnyRuling) -> Decided<Self> {
        Err(closed(at, choice.as_str()))
    }
}

/// A step that a participant takes, with its events. A type that is no event, or cannot
/// be stored or sent, is refused here alone: what takes the step takes its events as they
/// are.
pub trait Commanded: Declared {
    /// The command.
    type Do: Event + Wire;
    /// The reply that it is done.
    type Done: Event + Wire;
}

/// A step that its participant may refuse.
pub trait Refusable: Commanded {
    /// The reply that it is refused.
    type Refused: Event + Wire;
}

/// A step that can be undone.
pub trait Undoable: Commanded {
    /// The command that undoes it.
    type Undo: Event + Wire;
    /// The reply that it is undone.
    type Undone: Event + Wire;
}

/// What became of a reply.
pub type Answer<S> =
    Result<AnyAdvance<<S as Stage>::Workflow>, Refused<Instance<S>, ReplyError>>;

/// What became of a decision.
pub type Decided<S> =
    Result<AnyAdvance<<S as Stage>::Workflow>, Refused<Instance<S>, NotDecidedError>>;

/// What became of a deadline.
pub type Due<S> = Result<AnyAdvance<<S as Stage>::Workflow>, Instance<S>>;

/// What is taken to the stage that an instance has reached.
pub trait Visitor<W: Workflow> {
    type Out;
    fn visit<S: Drive<Workflow = W>>(self, at: Instance<S>) -> Self::Out;
}

/// The facts of a stored instance, before they have a stage.
pub struct Stored<W: Workflow> {
    facts: Box<Facts<W::Data>>,
    status: Status,
    step: String,
}

impl<W: Workflow> Stored<W> {
    pub(in crate::workflow) fn new(
        facts: Box<Facts<W::Data>>,
        status: Status,
        step: String,
    ) -> Self {
        Self { facts, status, step }
    }

    pub fn status(&self) -> Status {
        self.status
    }

    pub fn step(&self) -> &str {
        &self.step
    }
}

/// What moves an instance, and who.
pub struct Moved {
    cause: Cause,
    by: Option<By>,
}

macro_rules! moved {
    (alone $($alone:ident $alone_as:ident),* by $($word:ident $cause:ident),*) => {
        impl Moved {
            $(pub fn $alone() -> Self {
                Self { cause: Cause::$alone_as, by: None }
            })*
            $(pub fn $word(by: impl Into<By>) -> Self {
                Self { cause: Cause::$cause, by: Some(by.into()) }
            })*
        }
    };
}

moved! {
    alone started Started, done Done, refused Refused, undone Undone, timed_out TimedOut,
        expired Expired
    by approved Approved, declined Declined, happened Happened,
        did_not_happen DidNotHappen, asked_again AskedAgain, given_up GivenUp,
        cancelled Cancelled
}

macro_rules! ends {
    ($($end:ident)+) => { $(
        impl<W: Workflow> Enter for $end<W> {
            fn enter(_: &mut Instance<Self>, _: &KeyOf<Self>) {}
        }
        impl<W: Workflow> Drive for $end<W>
        where
            W::Any: From<Instance<Self>>,
        {
            fn any(at: Instance<Self>) -> W::Any {
                at.into()
            }
        }
    )+ };
}
ends!(Completed Undone GivenUp);

impl<W: Workflow> Entrance<W> for Completed<W> {
    type Then = Advance<Self>;

    fn enter<A: Stage<Workflow = W>>(
        at: Instance<A>,
        moved: Moved,
        key: &W::Key,
    ) -> Self::Then {
        go(at, moved, key)
    }
}

/// Before the first stage.
pub struct New<W>(PhantomData<fn() -> W>);

impl<W: Workflow> Stage for New<W> {
    type Workflow = W;
    const STATUS: Status = Status::Awaiting;
    const STEP: Option<&'static Step> = None;
    type Menu = ();
}

/// The role of nobody in particular.
pub enum Anybody {}

impl Role for Anybody {
    const NAME: &'static str = "";
    type Key = std::convert::Infallible;
}

/// The name of a stage's step.
fn name<S: Stage>() -> &'static str {
    S::STEP.map_or("", |step| step.name)
}

/// The data of a stage's workflow.
pub type DataOf<S> = <<S as Stage>::Workflow as Workflow>::Data;
