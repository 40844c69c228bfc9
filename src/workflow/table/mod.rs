//! `workflow!`: a workflow is a table, and the compiler holds the laws of the saga in it.

mod law;
mod module;
mod read;
mod slip;
mod step;

/// Declares a workflow: its steps in their order, and what follows from each answer, and
/// from silence.
///
/// ```
/// # use integration_automation_patterns::workflow::{Role, Wire, WireError};
/// # use integration_automation_patterns::{Event, workflow};
/// # macro_rules! wire { ($($name:ident)*) => { $(
/// #     impl Wire for $name {
/// #         fn write(&self) -> Result<Vec<u8>, WireError> { Ok(Vec::new()) }
/// #         fn read(_: &[u8]) -> Result<Self, WireError> { Ok(Self) }
/// #     }
/// # )* } }
/// # macro_rules! events { ($($name:ident $text:literal)*) => { $(
/// #     pub struct $name;
/// #     impl Event for $name { const TYPE: &'static str = $text; }
/// #     wire!($name);
/// # )* } }
/// # events! {
/// #     BookFlight "travel.flight.book" FlightBooked "travel.flight.booked"
/// #     FlightRefused "travel.flight.refused" CancelFlight "travel.flight.cancel"
/// #     FlightCancelled "travel.flight.cancelled" ChargeCard "bank.card.charge"
/// #     CardCharged "bank.card.charged" CardRefused "bank.card.refused"
/// #     SendTicket "mail.ticket.send" TicketSent "mail.ticket.sent"
/// # }
/// # pub struct Trip;
/// # wire!(Trip);
/// # pub enum Desk {}
/// # pub struct Key(());
/// # impl Role for Desk { const NAME: &'static str = "travel desk"; type Key = Key; }
/// workflow! {
///     pub mod trip of Trip, version 1 {
///         compensatable book_flight: BookFlight => FlightBooked | FlightRefused,
///             undone by CancelFlight => FlightCancelled
///                 within 1 h else asks Desk within 4 h,
///             within 15 min else undo;
///         pivot charge_card: ChargeCard => CardCharged | CardRefused,
///             within 1 h else asks Desk within 4 h;
///         retriable send_ticket: SendTicket => TicketSent,
///             within 2 d else asks Desk within 1 d;
///     }
/// }
///
/// impl trip::Ask for Trip {
///     fn book_flight(&self) -> BookFlight {
///         BookFlight
///     }
///
///     fn charge_card(&self) -> ChargeCard {
///         ChargeCard
///     }
///
///     fn send_ticket(&self) -> SendTicket {
///         SendTicket
///     }
/// }
///
/// impl trip::Undo for Trip {
///     fn book_flight(&self) -> CancelFlight {
///         CancelFlight
///     }
/// }
///
/// impl trip::Learn for Trip {
///     fn book_flight(&mut self, _: FlightBooked) {}
///
///     fn charge_card(&mut self, _: CardCharged) {}
///
///     fn send_ticket(&mut self, _: TicketSent) {}
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use integration_automation_patterns::workflow::InstanceId;
///
/// let first = trip::start(InstanceId::of("trip 7")?, Trip);
/// assert_eq!(first.commands()[0].event_type(), "travel.flight.book");
/// # Ok(())
/// # }
/// ```
///
/// # Rows
///
/// The order is compensatable steps and approvals, then one pivot or none, then retriable
/// steps. Every clause of a row is there, or the table does not compile.
///
/// | row | what it is |
/// |---|---|
/// | `compensatable step: Do => Done \| Refused, undone by Undo => Undone within 1 h else asks Role within 4 h, within 15 min else undo;` | a step that can be undone; silent, it is undone, or, with `else asks Role within 4 h`, put to people |
/// | `approval step of Shown when Data::condition: asks Role within 24 h then Role within 24 h else refuse;` | people decide on what they are shown, where the condition holds |
/// | `pivot step needs approval: Do => Done \| Refused, within 1 h else asks Role within 4 h;` | once it is done there is no way back; silent, people say what happened |
/// | `retriable step: Do => Done, within 2 d else asks Role within 1 d;` | it succeeds in the end |
///
/// Every approval holds back the rows behind it. What a pivot `needs` is the one whose
/// [`Cleared`](crate::workflow::Cleared) it is built from: where several people approve
/// several things, the pivot sends what one of them was shown.
///
/// A silent pivot whose participant uses this crate's inbox can be asked first: `else
/// forestall within 10 min, then asks Role within 4 h`. It is a choice of the table, since
/// a participant that does not know how to forestall would cost only time.
///
/// `asks 2 of Role within 24 h remind after 8 h then Role within 24 h` is a chain: how many
/// people of a role, until when, with a reminder, and who is asked next. Any role of the
/// chain may answer while the question is open, and as soon as one level has the votes that
/// it wants, it is granted. Spans are in `s`, `min`, `h` and `d`, and no span is nothing.
///
/// Votes are counted by a role's NAME and events are known by their TYPE, so that each role
/// and each event of a table has its own, and is written in it by one name: a type alias
/// beside the name is refused like a second role or event.
///
/// The first line names the data, the role that begins an instance (an approval needs one),
/// the version, and its seal: `of Order requested by Sales, version 1 sealed 0xa440...`. A
/// sealed table that changes does not compile; the error has the new seal. Kinds, names,
/// types, undos, needs and whether an approval has a condition are sealed; times, roles and
/// what a condition says may change.
///
/// `version 2 follows v1::order_to_cash` names the table of an earlier version, as it is
/// seen from here: see [`Follows`](crate::workflow::Follows).
///
/// # What it makes
///
/// A module of the given name, with
///
/// - `start`: begins an instance, for the person in the seat where the table names a role;
/// - `Ask`, `Undo`, `Learn`: what the data must say, a method for each step: what is sent,
///   what undoes it, and what is kept of the reply;
/// - `This`, the workflow as a type, and `step`, its steps;
/// - `Awaiting<S>`, `Forestalling<S>`, `Parked<S>`, `Undoing<S>`, `Stuck<S>`: the stages;
/// - `Any`, an instance at any stage, to `match` with the variants in `at`.
///
/// Declare it in a module, not in a function: data, events and roles are looked up where
/// it stands, by their plain names. They cannot be called as a type of the module is.
/// About 40 steps fit the compiler's default recursion limit.
///
/// # What is promised, and what is not
///
/// In safe code outside of the table no instance, step, approval or ruling can be made
/// except by what is listed above. The declaration and its three traits are trusted; so is
/// the login with its key, and a participant that says what it did.
#[macro_export]
macro_rules! workflow {
    // What is made is as visible as the module, one and two levels below it: a public type
    // that is made of a private one does not compile.
    ($(#[$m:meta])* pub mod $($rest:tt)*) => {
        $crate::__workflow_head! { [$(#[$m])*] [pub] [pub] [pub] $($rest)* }
    };
    ($(#[$m:meta])* pub(crate) mod $($rest:tt)*) => {
        $crate::__workflow_head! { [$(#[$m])*] [pub(crate)] [pub(crate)] [pub(crate)] $($rest)* }
    };
    ($(#[$m:meta])* pub(super) mod $($rest:tt)*) => {
        $crate::__workflow_head! { [$(#[$m])*] [pub(super)] [pub(in super::super)] [pub(in super::super::super)] $($rest)* }
    };
    ($(#[$m:meta])* mod $($rest:tt)*) => {
        $crate::__workflow_head! { [$(#[$m])*] [] [pub(super)] [pub(in super::super)] $($rest)* }
    };
    ($(#[$m:meta])* pub $name:ident of $($rest:tt)*) => {
        $crate::__workflow_head! { [] [] [] [] $name }
    };
    ($(#[$m:meta])* $name:ident of $($rest:tt)*) => {
        $crate::__workflow_head! { [] [] [] [] $name }
    };
    ($($other:tt)*) => {
        $crate::__workflow_head! { @amiss }
    };
}

/// Reads the first line of a declaration.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_head {
    ($m:tt $vis:tt $inner:tt $nested:tt $name:ident of $data:ident requested by $role:ident, version $v:literal $(follows $($old:ident)::+)? $(sealed $seal:literal)? { $($rows:tt)* }) => {
        $crate::__workflow_read! { @row {[$role] $m ($vis $inner $nested) $name $data $v [$($seal)?] [$($($old)::+)?]} (before) [] [] [] [] ([] [] [$role]) $($rows)* }
    };
    ($m:tt $vis:tt $inner:tt $nested:tt $name:ident of $data:ident, version $v:literal $(follows $($old:ident)::+)? $(sealed $seal:literal)? { $($rows:tt)* }) => {
        $crate::__workflow_read! { @row {[] $m ($vis $inner $nested) $name $data $v [$($seal)?] [$($($old)::+)?]} (before) [] [] [] [] ([] [] []) $($rows)* }
    };
    ($m:tt $vis:tt $inner:tt $nested:tt $name:ident $($other:tt)*) => {
        $crate::__workflow_refused! { $name
            "the workflow `", ::core::stringify!($name), "` is declared as `pub mod ", ::core::stringify!($name),
            " of Data requested by Role, version 1 { kind step: ...; ... }`, where `requested by Role` may be left out" }
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "a workflow is declared as `pub mod name of Data requested by Role, version 1 { kind step: ...; ... }`"
        );
    };
}
