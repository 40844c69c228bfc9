//! The lifecycle table, and all that is read from it: the states as types, the legal
//! steps, the status at run time.
//!
//! A state is a zero-sized type that stands in [`Envelope<S>`](crate::Envelope) for the
//! stage an event has reached. A step is legal where [`Step`] is implemented; the table
//! below is the only place that says where.
//!
//! | from | the program may go to | a person may decide on |
//! |---|---|---|
//! | [`Pending`] | `Dispatched`, `Skipped` | |
//! | [`Dispatched`] | `Acknowledged`, `Processed`, `Retrying`, `Failed`, `Skipped` | |
//! | [`Acknowledged`] | `Processed`, `Retrying`, `Failed`, `Skipped` | |
//! | [`Processed`] | | |
//! | [`Retrying`] | `Dispatched`, `Skipped` | |
//! | [`Failed`] | | `Pending`, `Skipped` |
//! | [`Skipped`] | | |
//!
//! A program that takes a step which the table does not have is refused by the compiler,
//! with the legal ones:
//!
//! ```text
//! error[E0277]: an envelope cannot go from `processed` to `dispatched`
//!   |
//!   |     let again = done.dispatch();
//!   |                      ^^^^^^^^ of legal next states it has none: `processed` is final
//! ```
//!
//! Code that works in several states names the step it needs:
//!
//! ```
//! use integration_automation_patterns::state::{Dispatched, State, Step};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! fn send<S: State + Step<Dispatched>>(event: Envelope<S>) -> Envelope<Dispatched> {
//!     event.dispatch()
//! }
//!
//! let event =
//!     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
//! assert_eq!(send(event).attempts(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use static_assertions::{assert_eq_size, assert_impl_all};

/// The lifecycle as data, handed to the macro that is named: one table, read by
/// [`DeliveryStatus`] and the marker types here and by `AnyEnvelope` in its own file. A
/// new state or step is a change of these lines alone.
macro_rules! lifecycle {
    ($read_by:ident) => {
        $read_by! {
            /// Created, not yet sent.
            Pending pending program [Dispatched Skipped] person [];
            /// On its way: the attempt is counted, the answer is not known.
            Dispatched dispatched program [Acknowledged Processed Retrying Failed Skipped] person [];
            /// The receiver has confirmed that it holds the event, not yet that it has
            /// acted on it.
            Acknowledged acknowledged program [Processed Retrying Failed Skipped] person [];
            /// The receiver has done what the event asks for.
            Processed processed program [] person [];
            /// The last attempt failed, and the budget allows another.
            Retrying retrying program [Dispatched Skipped] person [];
            /// A dead letter: the budget is spent or the failure is permanent, and a
            /// person must decide.
            Failed failed program [] person [Pending Skipped];
            /// Left out on purpose: a duplicate, an event out of date, or a dead letter
            /// that a person gave up.
            Skipped skipped program [] person [];
        }
    };
}
pub(crate) use lifecycle;

/// The menu that a compile error prints: what is legal instead.
macro_rules! menu {
    ([] []) => { Final };
    ([$($to:ident)+] []) => { ($($to,)+) };
    ([] [$($decided:ident)+]) => { OnlyAPersonDecides<($($decided,)+)> };
}

macro_rules! states {
    ($($(#[$doc:meta])* $state:ident $text:ident program [$($to:ident)*] person [$($decided:ident)*];)*) => {
        $(
            $(#[$doc])*
            ///
            /// A state of the [lifecycle](crate::state).
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub struct $state;

            impl sealed::State for $state {}
            impl State for $state {
                const STATUS: DeliveryStatus = DeliveryStatus::$state;
                type Next = menu!([$($to)*] [$($decided)*]);
            }
            $(
                #[diagnostic::do_not_recommend]
                impl Step<$to> for $state {}
            )*
            $(
                #[diagnostic::do_not_recommend]
                impl Step<$decided, Person> for $state {}
            )*
            assert_eq_size!($state, ());
            assert_impl_all!($state: Send, Sync);
        )*

        /// The names by which a compile error shows the states. rustc prints a type by
        /// the one public name that no other item has, or else with its whole path;
        /// `Pending` and the rest are also variants of two enums, and of `std`. These
        /// names are free, and they are the text of the status; a user with a module of
        /// such a name gets the whole path for that one. (Hidden from rustdoc alone:
        /// rustc passes over a name that is always hidden.)
        #[cfg_attr(doc, doc(hidden))]
        pub mod shown {
            $(pub use super::$state as $text;)*
        }

        /// The state of an event as a value: what is stored, listed and logged. The list is
        /// complete, as the lifecycle is.
        ///
        /// The text form of each is the lower-case name, and they sort in the order of
        /// the lifecycle table.
        ///
        /// ```
        /// use integration_automation_patterns::DeliveryStatus;
        ///
        /// let status: DeliveryStatus = "retrying".parse()?;
        /// assert_eq!(status, DeliveryStatus::Retrying);
        /// assert_eq!(status.to_string(), "retrying");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DeliveryStatus {
            $($(#[$doc])* $state,)*
        }

        impl DeliveryStatus {
            /// Every status, in the order of the lifecycle table.
            pub const ALL: &[Self] = &[$(Self::$state),*];

            /// The text form.
            ///
            /// ```
            /// # use integration_automation_patterns::DeliveryStatus;
            /// assert_eq!(DeliveryStatus::Acknowledged.as_str(), "acknowledged");
            /// ```
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$state => stringify!($text),)*
                }
            }

            /// The states that a program may take an event to from here.
            ///
            /// ```
            /// use integration_automation_patterns::DeliveryStatus::*;
            ///
            /// assert_eq!(Retrying.next(), [Dispatched, Skipped]);
            /// assert!(Failed.next().is_empty());
            /// ```
            pub const fn next(self) -> &'static [Self] {
                match self {
                    $(Self::$state => &[$(Self::$to),*],)*
                }
            }

            /// The states that only a person may decide to take an event to from here.
            ///
            /// ```
            /// use integration_automation_patterns::DeliveryStatus::*;
            ///
            /// assert_eq!(Failed.next_by_decision(), [Pending, Skipped]);
            /// ```
            pub const fn next_by_decision(self) -> &'static [Self] {
                match self {
                    $(Self::$state => &[$(Self::$decided),*],)*
                }
            }
        }
    };
}

lifecycle!(states);

impl DeliveryStatus {
    /// Whether no program takes the event any further: processed, failed or skipped.
    ///
    /// A failed event is at its end for the program, and waits for a person.
    ///
    /// ```
    /// # use integration_automation_patterns::DeliveryStatus;
    /// assert!(DeliveryStatus::Failed.is_terminal());
    /// assert!(!DeliveryStatus::Retrying.is_terminal());
    /// ```
    pub const fn is_terminal(self) -> bool {
        self.next().is_empty()
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeliveryStatus {
    type Err = UnknownNameError;

    /// Reads the text form, exactly.
    ///
    /// # Errors
    ///
    /// [`UnknownNameError`], with the text, where it names no status.
    fn from_str(text: &str) -> Result<Self, UnknownNameError> {
        let found = Self::ALL.iter().copied().find(|status| status.as_str() == text);
        found.ok_or_else(|| {
            UnknownNameError::new(
                "delivery status",
                Self::ALL.iter().map(|status| status.as_str()),
                text,
            )
        })
    }
}

/// A text that was to name one of a few things, and names none of them.
///
/// ```
/// use integration_automation_patterns::DeliveryStatus;
///
/// let error = "lost".parse::<DeliveryStatus>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "no delivery status is called \"lost\": wanted one of pending, dispatched, \
///      acknowledged, processed, retrying, failed, skipped"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownNameError {
    kind: &'static str,
    known: String,
    found: String,
}

impl UnknownNameError {
    pub(crate) fn new(
        kind: &'static str,
        known: impl Iterator<Item = &'static str>,
        found: &str,
    ) -> Self {
        Self {
            kind,
            known: known.collect::<Vec<_>>().join(", "),
            found: found.to_owned(),
        }
    }
}

impl fmt::Display for UnknownNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no {} is called {:?}: wanted one of {}",
            self.kind, self.found, self.known
        )
    }
}

impl std::error::Error for UnknownNameError {}

/// A state of the lifecycle, as a type.
///
/// Implemented by the seven states of the [table](crate::state) and by nothing else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state of the event lifecycle",
    label = "the states are Pending, Dispatched, Acknowledged, Processed, Retrying, Failed and Skipped"
)]
pub trait State: sealed::State {
    /// The same state as a value.
    const STATUS: DeliveryStatus;
    /// The legal next states, for the compiler to print.
    type Next;
}

/// The step from this state to `To` is legal.
///
/// `By` says who may take it: a [`Program`], unless a [`Person`] must decide. `Menu` is
/// there for the compile error alone, which prints it; leave it out.
///
/// ```
/// use integration_automation_patterns::state::{Failed, Pending, Person, Step};
///
/// fn a_person_may<S: Step<Pending, Person>>() -> bool {
///     true
/// }
/// assert!(a_person_may::<Failed>());
/// ```
#[diagnostic::on_unimplemented(
    message = "an envelope cannot go from `{Self}` to `{To}`",
    label = "legal next states of `{Self}`: {Menu}"
)]
pub trait Step<To, By = Program, Menu = <Self as State>::Next>:
    State + sealed::Fixed<To, By, Menu>
{
}

/// Who takes most steps: the program, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Program;

/// Who takes the steps out of [`Failed`]: a person, with name and reason (a
/// [`Decision`](crate::Decision)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Person;

/// The menu of a state that nothing follows.
#[derive(Debug)]
pub enum Final {}

/// The menu of a state that only a person may end: with `redrive` or `discard`.
#[derive(Debug)]
pub struct OnlyAPersonDecides<Menu>(std::marker::PhantomData<Menu>);

// The ends have every step, on a condition that none meets: the compile error is that of
// the condition, which can say in words what a menu cannot.
#[doc(hidden)]
impl<S, To, By> Step<To, By, Final> for S
where
    S: State<Next = Final>,
    To: sealed::AfterTheEnd<S>,
    By: sealed::Actor,
{
}

#[doc(hidden)]
impl<S, To, Menu> Step<To, Program, OnlyAPersonDecides<Menu>> for S
where
    S: State<Next = OnlyAPersonDecides<Menu>>,
    To: sealed::ByDecision<S, Menu>,
{
}

mod sealed {
    use super::{Person, Program};

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot become a state of the event lifecycle: its states are fixed",
        label = "the states are Pending, Dispatched, Acknowledged, Processed, Retrying, Failed and Skipped"
    )]
    pub trait State: std::fmt::Debug + Copy + Send + Sync + 'static {}

    /// Holds of this crate's own types alone, so that no other crate can add a step.
    #[diagnostic::on_unimplemented(
        message = "a step from `{Self}` to `{To}` cannot be added: the lifecycle's steps are fixed",
        label = "not a step of the lifecycle"
    )]
    pub trait Fixed<To, By, Menu> {}

    #[diagnostic::do_not_recommend]
    impl<S: super::State<Next = Menu>, To: super::State, By: Actor, Menu>
        Fixed<To, By, Menu> for S
    {
    }

    pub trait Actor {}
    impl Actor for Program {}
    impl Actor for Person {}

    /// Holds of no state: nothing comes after the end.
    #[diagnostic::on_unimplemented(
        message = "an envelope cannot go from `{From}` to `{Self}`",
        label = "of legal next states it has none: `{From}` is final"
    )]
    pub trait AfterTheEnd<From>: super::State {}

    /// Holds of no state: a program takes none after one that waits for a person.
    #[diagnostic::on_unimplemented(
        message = "an envelope cannot go from `{From}` to `{Self}`",
        label = "only a person decides on `{From}`: {Menu}"
    )]
    pub trait ByDecision<From, Menu>: super::State {}
}
