//! `boundary!`: a contract that the compiler checks, declared as a table. `read` parses
//! the declaration, and `module` makes the module of it: from `said` come snapshots and
//! edits, from `plan` plans, from `written` what they write, from `fields` the structs
//! with one item for each field, and from `rows` what is stored in SQLite tables.

mod fields;
mod module;
mod plan;
mod read;
mod rows;
mod said;
mod written;

/// Declares a contract between systems of record, so that the compiler knows who decides
/// about each field.
///
/// ```
/// # mod crm {
/// #     use integration_automation_patterns::sync::{Capability, System};
/// #     pub enum Crm {}
/// #     pub struct Key(());
/// #     impl System for Crm { const NAME: &'static str = "crm"; type Key = Key; }
/// #     pub fn connect() -> Capability<Crm> { Capability::mint(&Key(())) }
/// # }
/// # mod erp {
/// #     use integration_automation_patterns::sync::{Capability, System};
/// #     pub enum Erp {}
/// #     pub struct Key(());
/// #     impl System for Erp { const NAME: &'static str = "erp"; type Key = Key; }
/// #     pub fn connect() -> Capability<Erp> { Capability::mint(&Key(())) }
/// # }
/// use crm::Crm;
/// use erp::Erp;
/// use integration_automation_patterns::boundary;
/// use integration_automation_patterns::sync::{Base, Question, Slot, Verdict};
///
/// boundary! {
///     /// A contact, shared by CRM and ERP.
///     pub mod contact between Crm and Erp {
///         email: String => Crm,
///         billing_address: String => Erp,
///         nickname: String => Shared,
///         status: u8 => Manual,
///         excluded internal_notes: String,
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (crm, erp) = (crm::connect(), erp::connect());
/// let mut of_crm = contact::Snapshot::by(&crm);
/// of_crm.edit(contact::edit(&crm).email("new@x.org").nickname("Al"));
/// of_crm.status = Slot::Value(1);
/// let mut of_erp = contact::Snapshot::by(&erp);
/// of_erp.email = Slot::Value("old@x.org".to_owned());
/// of_erp.nickname = Slot::Empty;
/// of_erp.status = Slot::Value(2);
///
/// let email = Base::Known(Some("old@x.org".to_owned()));
/// let known = contact::Agreed { email, ..Default::default() }.into();
/// let plan = contact::reconcile(&of_crm, &of_erp, &known);
///
/// let write = plan.email.writes().next().ok_or("the owner has changed it")?;
/// assert_eq!(contact::SYSTEMS[write.to()], "erp");
/// assert_eq!(write.value().map(String::as_str), Some("new@x.org"));
/// assert_eq!(plan.status.question(), Some(Question::Manual));
/// let asked = plan.verdicts().filter(|(_, verdict)| matches!(verdict, Verdict::Ask(_)));
/// assert_eq!(asked.map(|(field, _)| field).collect::<Vec<_>>(), ["status"]);
/// assert_eq!(plan.next().nickname.agreed, Base::Known(Some("Al".to_owned())));
/// assert!(contact::contract()?.is_synced("email"));
///
/// let mut in_crm = contact::Snapshot::by(&crm);
/// let mut in_erp = contact::Snapshot::by(&erp);
/// in_crm.nickname = of_crm.nickname.clone();
/// (in_erp.email, in_erp.nickname) = (of_erp.email.clone(), Slot::Empty);
/// let carried = plan.apply(contact::Answers::default(), &mut in_crm, &mut in_erp)?;
/// assert_eq!(in_erp.email, Slot::Value("new@x.org".to_owned()));
/// assert!(carried.moved_on.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # What others may do
///
/// A system that does not own a field may do nothing with it, unless the declaration says
/// otherwise: behind the owner, as in `billing_address: String => Erp (others Queue)`, or
/// for the whole boundary in its first line, as `others Queue`.
/// [`NonOwnerEdits`](crate::sync::NonOwnerEdits) has the three words and what follows
/// from each.
///
/// # What it makes
///
/// A module of the given name, with
///
/// - `Snapshot<S>`: what system `S` says, a [`Slot`](crate::sync::Slot) for each field
///   that is exchanged (together: `Slots`). Made by its capability, and not to be mixed
///   up with another system's. Its fields are input: whatever was read, the values of
///   fields that others own included;
/// - `edit`: an `Edit`, a change that speaks for a system. A setter exists for every
///   field; it compiles for the owner of the field, for every party where others may do
///   something or the field is `Shared`, and for nobody where it is `Manual` or excluded.
///   It takes a value, or `None` to clear. An edit is what the system itself has changed,
///   and nothing is written to it: what a person decides is an answer to a plan;
/// - `Bases`: what is known in common, [`Bases`](crate::sync::Bases) for each field: what
///   was agreed last, and what each system has of it; made of `Agreed`, a
///   [`Base`](crate::sync::Base) for each field, where all systems have that;
/// - `reconcile`: all snapshots, in the order of `between`, and what is known in
///   common. Its `Plan` has an [`Entry`](crate::sync::declared::Entry) for each field
///   whose shape follows from the authority (together: `Entries`). `verdicts` lists
///   them all, `reviews` is what people are asked, `rules` settles what a declared rule
///   may, and `next` is what is known in common afterwards;
/// - `Plan::apply`: carries the plan out, once, through a `Store` of each system;
///   `Answers` permit what no program may write. Name the record first, by
///   `Plan::about`: a plan without a name gives every answer back. `Changes` is what
///   one system gets, a [`Write`](crate::sync::Write) or none for each field (together:
///   `Writes`), and `Taken` what it says to them. For other stores: `changes`, `checks`,
///   `take_back` and `next_after`. `intent` is what to store before, so that a program
///   that is killed in between takes no write of its own for an edit;
/// - `Refusals`: what systems refused, [`Refusals`](crate::sync::Refusals) for each
///   field; `Plan::after_refusals` does not try it again, and asks;
/// - `KeptForms`: what systems hold instead of what was written,
///   [`KeptForms`](crate::sync::KeptForms) for each field; read by
///   `Snapshot::as_kept`, it is no edit;
/// - `contract()`: the same as a [`Contract`](crate::sync::Contract);
///   `contract_builder()`, to extend it by fields that are known only at run time;
///   `SYSTEMS`, the names in order; and `Parties`, the systems as types, for bounds.
///
/// `Slots`, `Agreed`, `Bases`, `Refusals`, `KeptForms`, `Entries`, `Writes` and `Answers`
/// are walked by [`each`](crate::sync::declared::Visit). `Slots`, `Snapshot`, `Agreed`,
/// `Bases`, `Refusals` and `KeptForms` are `Clone` and `PartialEq` where the fields'
/// types are. With the feature `serde`, `Slots`, `Agreed`, `Bases`, `Refusals`,
/// `KeptForms` and `Answers` are stored as maps from the fields' names, in which a field
/// that is missing is unread, was never agreed on, was never refused, is kept as it was
/// given, or has no answer. A stored snapshot comes back through its system's capability:
/// `*contact::Snapshot::by(&crm) = slots`.
///
/// With the feature `sqlite`, the row of a table is a store of each system, if the
/// fields' types are column types: see `sync::sqlite::SystemRow`. It takes no changes
/// about a record that is not its own.
///
/// What holds for records as a whole (who creates and deletes them, how many may be gone)
/// is no part of the declaration: [`RecordRules`](crate::sync::RecordRules) say it, by the
/// places of the systems in `SYSTEMS`, and `contract_builder().records(rules)` puts it
/// into the contract.
///
/// # What is promised, and what is not
///
/// In safe code outside of the declaration, no plan, entry, change, snapshot or edit
/// can be made or altered except by what is listed above. What is not promised: the
/// declaration itself makes the rules, and code within it is trusted; so is a connector
/// with its own key, a store with what it is given, and a caller with the names and the
/// reasons of a [`Decision`](crate::Decision), which are two texts: who may speak for a
/// person is for your login to say. A plan takes answers about the record that `about`
/// names, and believes it.
///
/// # Names
///
/// A field may have any name; a keyword as `r#type`. A system or a type cannot be called
/// as one of the types of the module is: `Slots`, `Snapshot`, `Edit`, `Agreed`, `Bases`,
/// `Refusals`, `KeptForms`, `Entries`, `EntryOf`, `Plan`, `Rules`, `RulesOf`, `Answers`,
/// `Writes`, `Changes`, `Taken`, `Store` or `Parties`. What else a prelude or an import
/// may call by a common name (`None`, `Ok`, `Send`, `assert`) makes no difference.
///
/// Declare it in a module, not in a function: the systems and the types are looked up
/// where it stands. A type may be given by a path from there, `super::Status` too; within
/// another type (`Vec<super::Status>`), import it first.
///
/// Values are compared with `Eq`, and cloned: a float is no field, and an `Option` is
/// none, since every field may be empty.
///
/// A doc comment or an attribute on a field stands on all that is made of it. A field is
/// not declared under a `cfg`: a contract is the same in every build.
///
/// A group of fields that must have one winner is one field of a struct type. The macro
/// reads one field after another: about 115 fit the compiler's default recursion limit,
/// which a crate can raise with `#![recursion_limit = "512"]`, for some 500.
#[macro_export]
macro_rules! boundary {
    ($(#[$meta:meta])* $vis:vis mod $name:ident between $first:ident $(and $system:ident)+ { $($fields:tt)* }) => {
        $crate::__boundary! { @name [$(#[$meta])*] [$vis] $name [] [$first $($system)+] { $($fields)* } }
    };
    ($(#[$meta:meta])* $vis:vis mod $name:ident between $only:ident { $($fields:tt)* }) => {
        ::core::compile_error!(::core::concat!(
            "the boundary `", ::core::stringify!($name), "` is between one system: a boundary \
                                                  is between two or more, ",
            "`between ", ::core::stringify!($only), " and ...`"
        ));
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "a boundary is declared as `pub mod name between System and System { field: \
             Type => Authority, ... }`, with the systems by their plain names"
        );
    };
}
