//! Systems of record as types, the capability to speak for one, and who may write which
//! field.

use std::fmt;
use std::marker::PhantomData;

use super::kind::{Manual, Overwrite, Queue, Reject, Shared};

/// A system of record: one marker type for each.
///
/// `Key` is a type that only the system's own connector can make, because it has a
/// private field. Code without the key cannot speak for the system.
///
/// ```
/// mod crm {
///     use integration_automation_patterns::sync::{Capability, System};
///
///     pub enum Crm {}
///     pub struct Key(());
///
///     impl System for Crm {
///         const NAME: &'static str = "crm";
///         type Key = Key;
///     }
///
///     /// The connector: it knows how to reach the CRM, and alone has its key.
///     pub fn connect() -> Capability<Crm> {
///         Capability::mint(&Key(()))
///     }
/// }
///
/// assert_eq!(format!("{:?}", crm::connect()), "Capability<crm>");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a system of record",
    label = "needs `impl System for {Self}` with its NAME and the Key that its \
             connector keeps"
)]
pub trait System: 'static {
    /// The name in contracts, plans and logs.
    const NAME: &'static str;
    /// What only the system's connector can make.
    type Key;
}

/// The capability to speak for a system: what a snapshot or an edit is bound to.
///
/// It cannot be cloned, and is made of the system's key alone.
pub struct Capability<S: System>(PhantomData<fn() -> S>);

impl<S: System> Capability<S> {
    /// The capability, for the holder of the key.
    pub fn mint(_key: &S::Key) -> Self {
        Self(PhantomData)
    }

    /// Never compiles: it is here for the words of the error.
    #[doc(hidden)]
    #[expect(clippy::should_implement_trait, reason = "a bound on a trait has no words")]
    pub fn clone(&self) -> Self
    where
        S: MayBeCopied,
    {
        Self(PhantomData)
    }
}

/// The bound that a copy of a capability would need: no system has it.
#[diagnostic::on_unimplemented(
    message = "the capability to speak for `{Self}` cannot be copied",
    label = "lend it as `&Capability<{Self}>`, or let the connector mint another one"
)]
pub trait MayBeCopied: sealed::Nobody {}

impl<S: System> fmt::Debug for Capability<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capability<{}>", S::NAME)
    }
}

/// This writer may write a field that `Owner` owns: it is that owner, or others may do
/// something.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not write `{Field}`: its system of record is `{Owner}`",
    label = "this edit speaks for `{Self}`; `edit` with the capability of `{Owner}` may \
             write it"
)]
pub trait MayWrite<Owner, Field, Policy = Reject>: sealed::May<Owner, Policy> {}

#[diagnostic::do_not_recommend]
impl<S: System, Field> MayWrite<S, Field, Reject> for S {}
#[diagnostic::do_not_recommend]
impl<S, Owner: System, Field> MayWrite<Owner, Field, Queue> for S {}
#[diagnostic::do_not_recommend]
impl<S, Owner: System, Field> MayWrite<Owner, Field, Overwrite> for S {}

/// This writer may write a field that nobody owns: it is shared. Where a person decides,
/// no edit may.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not write `{Field}`: only a person decides on it",
    label = "no edit writes it: a person's `Answer` to the question of a plan does"
)]
pub trait MayDecide<Field, Kind = Manual>: sealed::MayDecide<Kind> {}

#[diagnostic::do_not_recommend]
impl<S, Field> MayDecide<Field, Shared> for S {}

/// This writer may write an excluded field: no writer may.
#[diagnostic::on_unimplemented(
    message = "`{Self}` may not write `{Field}`: it is excluded from this boundary",
    label = "nobody may: each system keeps its own"
)]
pub trait MayWriteExcluded<Field>: sealed::Nobody {}

/// The parties to a boundary, as a list of types, have this system among them, at this
/// place.
///
/// `At` is found by the compiler.
#[diagnostic::on_unimplemented(
    message = "`{S}` is not a party to this boundary",
    label = "the parties are the systems that the declaration names behind `between`"
)]
pub trait Includes<S, At>: sealed::Includes<S, At> {
    /// The place of the system, from 0.
    const PLACE: usize;
}

/// The system of a store is the one whose place the store takes.
#[diagnostic::on_unimplemented(
    message = "a store of `{Self}` is not where `{S}` keeps its records",
    label = "wanted a store whose `System` is `{S}`: one for each system, in the order of \
             the declaration"
)]
pub trait Itself<S>: sealed::Itself<S> {}

#[diagnostic::do_not_recommend]
impl<S> Itself<S> for S {}

/// The place at the head of a list.
#[derive(Debug)]
pub enum Here {}

/// A place further down.
#[derive(Debug)]
pub struct Further<At>(PhantomData<At>);

#[diagnostic::do_not_recommend]
impl<S, Rest> Includes<S, Here> for (S, Rest) {
    const PLACE: usize = 0;
}

#[diagnostic::do_not_recommend]
impl<S, First, Rest: Includes<S, At>, At> Includes<S, Further<At>> for (First, Rest) {
    const PLACE: usize = Rest::PLACE.saturating_add(1);
}

mod sealed {
    use super::{Overwrite, Queue, Reject, Shared};

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot grant itself what `{Owner}` may write",
        label = "only the declaration of its boundary says who may write a field"
    )]
    pub trait May<Owner, Policy> {}
    #[diagnostic::do_not_recommend]
    impl<Owner> May<Owner, Reject> for Owner {}
    #[diagnostic::do_not_recommend]
    impl<S, Owner> May<Owner, Queue> for S {}
    #[diagnostic::do_not_recommend]
    impl<S, Owner> May<Owner, Overwrite> for S {}

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot decide in a person's place",
        label = "only an answer to a plan's question does"
    )]
    pub trait MayDecide<Kind> {}
    #[diagnostic::do_not_recommend]
    impl<S> MayDecide<Shared> for S {}

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot grant itself an excluded field",
        label = "nobody may write it: each system keeps its own"
    )]
    pub trait Nobody {}

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot stand in for `{S}`",
        label = "a store is one system's"
    )]
    pub trait Itself<S> {}
    #[diagnostic::do_not_recommend]
    impl<S> Itself<S> for S {}

    #[diagnostic::on_unimplemented(
        message = "`{S}` cannot make itself a party to a boundary",
        label = "only the declaration of the boundary names its parties"
    )]
    pub trait Includes<S, At> {}
    #[diagnostic::do_not_recommend]
    impl<S, Rest> Includes<S, super::Here> for (S, Rest) {}
    #[diagnostic::do_not_recommend]
    impl<S, First, Rest: super::Includes<S, At>, At> Includes<S, super::Further<At>>
        for (First, Rest)
    {
    }
}
