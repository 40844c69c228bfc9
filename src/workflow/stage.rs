//! The stages that an instance can have reached, as types, and which verb is legal at
//! which.
//!
//! A verb is legal where its trait is implemented, and only
//! [`workflow!`](crate::workflow!) can implement one to any effect: what moves an instance
//! takes the table's private key, and so does what makes a role one that may decide.
//! `Menu` is there for the compile errors alone, which print it.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use super::advance::{Advance, AnyAdvance};
use super::approval::Granted;
use super::definition::{Definition, Step};
use super::instance::Instance;
use super::journal::By;
use super::made::ByTable;
use super::record::{InstanceRecord, RecordError};
use super::wire::{Wire, WireError};
use crate::state::UnknownNameError;

/// A declared workflow. Implemented by [`workflow!`](crate::workflow!), for the type
/// `This` of its module.
pub trait Workflow: Sized + 'static {
    /// The name: the first part of every correlation.
    const NAME: &'static str;
    /// The version of the table.
    const VERSION: u32;
    /// The fingerprint of the table, which is stored with each instance.
    const FINGERPRINT: u64;
    /// The table.
    const DEFINITION: Definition;
    /// What an instance is about.
    type Data: Wire;
    /// An instance at any stage.
    type Any;
    /// What only the table's own code can make: without it nothing moves an instance.
    type Key;

    /// Takes a visitor to the stage that an instance has reached.
    #[doc(hidden)]
    fn visit<V: super::made::Visitor<Self>>(at: Self::Any, visitor: V) -> V::Out;

    /// The instance at the stage that its facts name.
    #[doc(hidden)]
    fn place(
        facts: super::made::Stored<Self>,
    ) -> Result<Self::Any, super::made::Stored<Self>>;

    /// Whether what was shown for an approval can still be read.
    #[doc(hidden)]
    fn check_shown(approval: &str, shown: &[u8]) -> Result<(), WireError>;

    /// What people are shown for an approval; nothing where there is no such approval.
    #[doc(hidden)]
    fn shown(approval: &str, data: &Self::Data) -> Option<Result<Vec<u8>, WireError>>;

    /// Whether an approval is needed: its condition holds, or it has none.
    #[doc(hidden)]
    fn is_needed(approval: &str, data: &Self::Data) -> bool;

    /// The instance of a record of an earlier version, which this one
    /// [follows](super::Follows).
    #[doc(hidden)]
    fn lead(record: &InstanceRecord) -> Result<Self::Any, RecordError> {
        let (wanted, found) = (Self::VERSION, record.version);
        Err(RecordError::UnknownVersion { wanted, found })
    }
}

/// What an instance has reached. Implemented by [`workflow!`](crate::workflow!) for the
/// stages of its module, and here for the ends.
pub trait Stage: Sized + 'static {
    /// The workflow.
    type Workflow: Workflow;
    /// The stage as a value: with the step, what a row says.
    const STATUS: Status;
    /// The step; an end has none.
    const STEP: Option<&'static Step>;
    /// What is legal here, for the compiler to print.
    type Menu;
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $status:ident $text:literal;)*) => {
        /// Where an instance stands with its step, as a value: what is stored and listed.
        ///
        /// ```
        /// use integration_automation_patterns::workflow::Status;
        ///
        /// let status: Status = "given_up".parse()?;
        /// assert!(status.is_end());
        /// assert_eq!(status.to_string(), "given_up");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Status {
            $($(#[$doc])* $status,)*
        }

        impl Status {
            /// Every status.
            pub const ALL: &[Self] = &[$(Self::$status),*];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$status => $text,)*
                }
            }
        }
    };
}

statuses! {
    /// The command is sent and its reply is not there, or people have not decided.
    Awaiting "awaiting";
    /// The step did not answer: its participant says that it was done, or sees to it that
    /// it never will be.
    Forestalling "forestalling";
    /// The step did not answer: a person says what became of it.
    Parked "parked";
    /// The undo is sent and its reply is not there.
    Undoing "undoing";
    /// The undo did not answer: a person says what became of it.
    Stuck "stuck";
    /// The end: every step is done.
    Completed "completed";
    /// The end: every step that was done, or may have been, is undone.
    Undone "undone";
    /// The end: a person closed it, and what was done stands.
    GivenUp "given_up";
}

impl Status {
    /// Whether nothing follows.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Undone | Self::GivenUp)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownNameError;

    /// Reads the text form, exactly.
    ///
    /// # Errors
    ///
    /// [`UnknownNameError`], with the text, where it names no status.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.iter().map(|status| status.as_str());
            UnknownNameError::new("status of a workflow", known, text)
        })
    }
}

macro_rules! ends {
    ($($(#[$doc:meta])* $end:ident)*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $end<W>(PhantomData<fn() -> W>);

        impl<W: Workflow> Stage for $end<W> {
            type Workflow = W;
            const STATUS: Status = Status::$end;
            const STEP: Option<&'static Step> = None;
            type Menu = menu::NothingItIsOver;
        }
    )* };
}

ends! {
    /// The end of an instance of which every step is done.
    Completed
    /// The end of an instance of which every step that was done, or may have been, is
    /// undone.
    Undone
    /// The end of an instance that a person closed: what was done stands.
    GivenUp
}

/// The names by which a compile error shows the ends: rustc prints a type by the one
/// public name that no other item has, and `Completed` and the others are variants too.
/// (Hidden from rustdoc alone: rustc passes over a name that is always hidden.)
#[cfg_attr(doc, doc(hidden))]
pub mod shown {
    pub use super::{Completed as completed, GivenUp as given_up, Undone as all_undone};
}

/// The words of the menus: the verbs, as a compile error prints them.
#[allow(non_camel_case_types, missing_docs, missing_debug_implementations)]
pub mod menu {
    use std::marker::PhantomData;

    pub struct done<Reply>(PhantomData<Reply>);
    pub struct refused<Reply>(PhantomData<Reply>);
    pub struct undone<Reply>(PhantomData<Reply>);
    pub struct decide<Roles>(PhantomData<Roles>);
    pub struct settle<Roles>(PhantomData<Roles>);
    pub struct timed_out;
    pub struct cancel;
    pub struct amend;
    /// What a compile error prints for an instance that is over.
    pub enum NothingItIsOver {}
}

/// What follows a step behind which an approval stands that is not always needed.
#[must_use = "the step is not stored: hand it to `store`, in the transaction that received its cause"]
#[allow(clippy::large_enum_variant, reason = "it is handed on at once")]
pub enum Asked<A: Stage, Rest> {
    /// The condition holds: people are asked.
    Needed(Advance<A>),
    /// It does not: this follows instead.
    NotNeeded(Rest),
}

/// What follows the deadline of an approval.
#[must_use = "the step is not stored: hand it to `store`, in the transaction of the clerk"]
pub enum Escalated<A: Stage, B: Stage> {
    /// People are reminded, or the next level is asked.
    Asked(Advance<A>),
    /// There is no further level: silence is a refusal.
    Refused(Advance<B>),
}

/// What follows an approval of which more than one person must agree.
#[must_use = "the vote is not stored: hand it to `store`"]
#[allow(clippy::large_enum_variant, reason = "it is handed on at once")]
pub enum Voted<A: Stage, Then> {
    /// More must agree.
    Counted(Advance<A>),
    /// It is enough.
    Enough(Then),
}

// By hand: the stages of a table have no `Debug`, and need none.
impl<A: Stage, Rest: fmt::Debug> fmt::Debug for Asked<A, Rest> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Needed(advance) => f.debug_tuple("Needed").field(advance).finish(),
            Self::NotNeeded(rest) => f.debug_tuple("NotNeeded").field(rest).finish(),
        }
    }
}

impl<A: Stage, B: Stage> fmt::Debug for Escalated<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked(advance) => f.debug_tuple("Asked").field(advance).finish(),
            Self::Refused(advance) => f.debug_tuple("Refused").field(advance).finish(),
        }
    }
}

impl<A: Stage, Then: fmt::Debug> fmt::Debug for Voted<A, Then> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted(advance) => f.debug_tuple("Counted").field(advance).finish(),
            Self::Enough(then) => f.debug_tuple("Enough").field(then).finish(),
        }
    }
}

impl<W: Workflow, A, Rest> From<Asked<A, Rest>> for AnyAdvance<W>
where
    A: Stage<Workflow = W>,
    Rest: Into<Self>,
{
    fn from(asked: Asked<A, Rest>) -> Self {
        match asked {
            Asked::Needed(advance) => advance.into(),
            Asked::NotNeeded(rest) => rest.into(),
        }
    }
}

impl<W: Workflow, A, B> From<Escalated<A, B>> for AnyAdvance<W>
where
    A: Stage<Workflow = W>,
    B: Stage<Workflow = W>,
{
    fn from(escalated: Escalated<A, B>) -> Self {
        match escalated {
            Escalated::Asked(advance) => advance.into(),
            Escalated::Refused(advance) => advance.into(),
        }
    }
}

impl<W: Workflow, A, Then> From<Voted<A, Then>> for AnyAdvance<W>
where
    A: Stage<Workflow = W>,
    Then: Into<Self>,
{
    fn from(voted: Voted<A, Then>) -> Self {
        match voted {
            Voted::Counted(advance) => advance.into(),
            Voted::Enough(then) => then.into(),
        }
    }
}

/// This reply says that what the instance awaits is done.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer an instance that is `{At}`",
    label = "legal here: {Menu}"
)]
pub trait Answers<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    /// What follows.
    type Then: Into<AnyAdvance<At::Workflow>>;
    #[doc(hidden)]
    fn done(self, at: Instance<At>) -> Self::Then;
}

/// This reply says that what the instance awaits is refused, and nothing of it was done.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not refuse an instance that is `{At}`",
    label = "legal here: {Menu}"
)]
pub trait Refuses<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    /// What is undone first.
    type Back: Stage<Workflow = At::Workflow>;
    #[doc(hidden)]
    fn refused(self, at: Instance<At>) -> Advance<Self::Back>;
}

/// This reply says that the step is undone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say that an instance that is `{At}` is undone",
    label = "legal here: {Menu}"
)]
pub trait Undoes<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    /// What is undone next.
    type Back: Stage<Workflow = At::Workflow>;
    #[doc(hidden)]
    fn undone(self, at: Instance<At>) -> Advance<Self::Back>;
}

/// The instance can still be undone as a whole.
#[diagnostic::on_unimplemented(
    message = "an instance that is `{Self}` cannot be cancelled: its pivot is sent, or it is over",
    label = "legal here: {Menu}"
)]
pub trait Cancels<Back, Menu = <Self as Stage>::Menu>: Stage {
    #[doc(hidden)]
    fn cancel(at: Instance<Self>, by: By) -> Back;
}

/// The instance has a deadline.
#[diagnostic::on_unimplemented(
    message = "an instance that is `{Self}` waits for nothing, and so has no deadline",
    label = "legal here: {Menu}"
)]
pub trait Waits<Late, Menu = <Self as Stage>::Menu>: Stage {
    #[doc(hidden)]
    fn timed_out(at: Instance<Self>) -> Late;
}

/// People with this role decide here.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not decide on an instance that is `{At}`",
    label = "legal here: {Menu}"
)]
pub trait Decides<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    #[doc(hidden)]
    const BY_TABLE: ByTable<Self, At>;
    /// What follows an approval.
    type Then: Into<AnyAdvance<At::Workflow>>;
    /// What follows a refusal.
    type Back: Stage<Workflow = At::Workflow>;
    #[doc(hidden)]
    fn approved(at: Instance<At>, granted: Granted<At>) -> Self::Then;
    #[doc(hidden)]
    fn refused(at: Instance<At>, granted: Granted<At>) -> Advance<Self::Back>;
}

/// People decide here, and what they are shown can be changed meanwhile.
#[diagnostic::on_unimplemented(
    message = "nobody is asked to approve an instance that is `{Self}`: there is nothing to amend",
    label = "legal here: {Menu}"
)]
pub trait Amends<Menu = <Self as Stage>::Menu>: Stage {
    #[doc(hidden)]
    fn amended(at: Instance<Self>, by: By) -> Advance<Self>;
}

/// People with this role settle what nobody knows the outcome of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not settle an instance that is `{At}`",
    label = "legal here: {Menu}"
)]
pub trait MaySettle<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    #[doc(hidden)]
    const BY_TABLE: ByTable<Self, At>;
}

/// This reply says what happened to a step, or to an undo, that did not answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what happened to an instance that is `{At}`",
    label = "legal here: {Menu}"
)]
pub trait Happens<At: Stage, Menu = <At as Stage>::Menu>: Sized {
    /// What follows.
    type Then: Into<AnyAdvance<At::Workflow>>;
    #[doc(hidden)]
    fn happened(self, at: Instance<At>, granted: Granted<At>) -> Self::Then;
}

/// It may turn out that the step was not done.
#[diagnostic::on_unimplemented(
    message = "an instance that is `{Self}` cannot go back: its step is retriable, and will be done",
    label = "behind the pivot a person says `happened`, `ask_again` or `give_up`"
)]
pub trait Undecided<Back, Menu = <Self as Stage>::Menu>: Stage {
    #[doc(hidden)]
    fn did_not_happen(
        at: Instance<Self>,
        granted: Granted<Self>,
        though_sent: bool,
    ) -> Back;
}

/// It must succeed: a person may have it asked again, or give the instance up.
#[diagnostic::on_unimplemented(
    message = "an instance that is `{Self}` is not asked again: its step may have happened, and can still be taken back",
    label = "before the end of the pivot a person says `happened` or `did_not_happen`"
)]
pub trait MustSucceed<Again, Menu = <Self as Stage>::Menu>: Stage {
    #[doc(hidden)]
    fn ask_again(at: Instance<Self>, granted: Granted<Self>) -> Again;
    #[doc(hidden)]
    fn give_up(
        at: Instance<Self>,
        granted: Granted<Self>,
    ) -> Advance<GivenUp<Self::Workflow>>;
}

/// A step as its row declares it. Implemented by [`workflow!`](crate::workflow!) for the
/// steps of its module.
pub trait Declared: 'static {
    /// The workflow.
    type Workflow: Workflow;
    /// The row.
    const STEP: Step;
    /// What people are shown, where it is an approval.
    type Shown: Wire;
}
