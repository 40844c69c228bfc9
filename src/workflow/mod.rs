//! A workflow as a table: what follows from each answer, and from silence, with the laws
//! of the saga held by the compiler.
//!
//! An instance takes one typed step for each reply, deadline or decision, in one
//! transaction: the row, the commands that leave, and the deadline of the next wait.
//! [`workflow!`](crate::workflow!) declares it. There is no interpreter, no replay and no
//! scheduler: a step's code is two pure functions of your data, what is sent and what is
//! kept of the reply.
//!
//! ```
//! # mod shop {
//! #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/orders.rs"));
//! # }
//! # use shop::*;
//! use integration_automation_patterns::workflow::memory::Memory;
//! use integration_automation_patterns::workflow::{Asked, InstanceId, Status};
//! use shop::order_to_cash::{self, Any, at};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut store, now) = (Memory::default(), "2026-01-05T08:00:00Z".parse()?);
//! let id = InstanceId::of("order 4711")?;
//! let anna = login::seat::<Sales>("anna")?;
//! store.begin(order_to_cash::start(id.clone(), Order::of(900), &anna), now)?;
//!
//! let Some(Any::Awaiting(at::Awaiting::reserve_credit(at))) = store.load(&id)? else {
//!     return Err("the first step is awaited".into());
//! };
//! store.store(at.done(CreditReserved), now)?;
//!
//! // The stock does not answer: it may be held, so it is freed first, and then the credit.
//! let Some(Any::Awaiting(at::Awaiting::hold_stock(at))) = store.load(&id)? else {
//!     return Err("the second step is awaited".into());
//! };
//! store.store(at.timed_out(), now)?;
//! let Some(Any::Undoing(at::Undoing::hold_stock(at))) = store.load(&id)? else {
//!     return Err("the second step is undone".into());
//! };
//! store.store(at.undone(StockFreed), now)?;
//! let row = store.record(id.as_event_id()).ok_or("it is stored")?;
//! assert_eq!((row.status, row.step.as_deref()), (Status::Undoing, Some("reserve_credit")));
//! # Ok(())
//! # }
//! ```
//!
//! # Stages
//!
//! | status | waits for | when the deadline passes |
//! |---|---|---|
//! | [`Awaiting`](Status::Awaiting) | the reply of a step, or people's approval | the step is undone, its participant or people are asked; an approval goes up its chain, and is refused in the end |
//! | [`Forestalling`](Status::Forestalling) | the participant of a silent pivot | people are asked |
//! | [`Parked`](Status::Parked) | a person's word about a silent step, or its reply after all | the next level is asked, the last one again |
//! | [`Undoing`](Status::Undoing) | the reply to an undo | people are asked |
//! | [`Stuck`](Status::Stuck) | a person's word about a silent undo, or its reply after all | the next level is asked, the last one again |
//! | [`Completed`](Status::Completed), [`Undone`](Status::Undone), [`GivenUp`](Status::GivenUp) | nothing | |
//!
//! # Typed and erased
//!
//! Code that has a stage in hand calls its verbs: [`Instance`] lists them. Machines drive
//! an instance whose stage is known only at run time through [`Driven`], which calls the
//! same verbs. What a store keeps is an [`InstanceRecord`]; [`memory`] is the shortest
//! store. The guide's chapter [`workflow`](crate::guide::workflow) has the laws and the
//! limits.

mod advance;
mod approval;
mod calendar;
mod check;
mod command;
mod definition;
mod diagram;
mod drive;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod durable;
mod excerpt;
mod follow;
mod id;
mod instance;
mod intervene;
mod journal;
#[cfg(feature = "serde")]
mod json;
#[doc(hidden)]
#[allow(missing_docs, missing_debug_implementations)]
pub mod made;
pub mod memory;
mod question;
mod record;
mod reply;
mod role;
mod settle;
mod stage;
mod store;
mod table;
mod wire;

pub use self::advance::{Advance, AdvanceError, AnyAdvance};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::advance::{Recall, Written};
pub use self::approval::{Clearance, Cleared, Granted, NotDecidedError, Question, Vote};
pub use self::calendar::{Calendar, EveryHour};
pub use self::command::Command;
pub use self::definition::{Definition, Kind, Level, Step};
pub use self::diagram::Edge;
pub use self::drive::{Choice, Driven, Standing, Verdict};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "sqlite"))))]
pub use self::durable::*;
pub use self::follow::{Follow, Follows};
pub use self::id::{Correlation, CorrelationError, InstanceId, Part, Seen};
pub use self::instance::Instance;
pub use self::intervene::Intervention;
pub use self::journal::{By, Cause, Entry};
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use self::json::WireJson;
pub use self::question::{QuestionAsked, QuestionClosed};
pub use self::record::{InstanceRecord, RecordError};
pub use self::reply::{Forestall, Forestalled, ReplyError};
pub use self::role::{
    Actor, AnyRuling, Directory, Person, PersonError, Role, Ruling, Seat,
};
pub use self::settle::Settling;
pub use self::stage::{
    Amends, Answers, Asked, Cancels, Completed, Decides, Declared, Escalated, GivenUp,
    Happens, MaySettle, MustSucceed, Refuses, Stage, Status, Undecided, Undoes, Undone,
    Voted, Waits, Workflow, menu, shown,
};
pub use self::store::{Begun, JournalLine, NotStoredError, ReceiveError, Received};
pub use self::wire::{Wire, WireError, answer};
