//! A workflow as a table: what follows from each answer, and from silence, with the laws
//! of the saga held by the compiler.

mod advance;
mod approval;
mod calendar;
mod command;
mod definition;
mod diagram;
mod drive;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod durable;
mod id;
mod instance;
mod journal;
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
pub use self::id::{Correlation, CorrelationError, InstanceId, Part, Seen};
pub use self::instance::Instance;
pub use self::journal::{By, Cause, Entry};
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
