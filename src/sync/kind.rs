//! What a declaration says of a field, as marker types: who decides about it, and what
//! the others may do.

use std::marker::PhantomData;

use super::reconcile::Rule;
use super::slot::FieldValue;

/// A field of a declared boundary, by the type that [`boundary!`](crate::boundary) makes
/// for it.
///
/// The declaration implements it, and a second implementation does not compile. It
/// grants nothing: only the module of a declaration makes an
/// [`Entry`](super::declared::Entry).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no field of a boundary",
    label = "wanted one of the types in a boundary's module `field`"
)]
pub trait Ruled {
    /// The type of its values. It is bound here, and nowhere else: a type that is none
    /// is one error, where it is declared.
    type Value: FieldValue;

    /// Who decides about the field.
    const RULE: Rule;
}

/// Who decides about the field of an [`Entry`](super::declared::Entry).
///
/// It is sealed: [`Owned`], [`Shared`] and [`Manual`] implement it, and nothing else can.
pub trait Kind: sealed::Kind {}

/// One system owns the field, and the others may do what the policy says: its value is
/// written to the others, and never to itself.
#[derive(Debug)]
pub struct Owned<Policy>(PhantomData<Policy>);

/// The systems share the field.
#[derive(Debug)]
pub enum Shared {}

/// Only a person decides on the field: it has questions, and no writes.
#[derive(Debug)]
pub enum Manual {}

/// What another system may do with a field that one owns: nothing
/// ([`NonOwnerEdits::Reject`](super::NonOwnerEdits)).
#[derive(Debug)]
pub enum Reject {}

/// What another system may do with a field that one owns: propose
/// ([`NonOwnerEdits::Queue`](super::NonOwnerEdits)).
#[derive(Debug)]
pub enum Queue {}

/// What another system may do with a field that one owns: change it until the next
/// synchronisation ([`NonOwnerEdits::Overwrite`](super::NonOwnerEdits)).
#[derive(Debug)]
pub enum Overwrite {}

/// A plan may write a field of this kind without a person.
#[diagnostic::on_unimplemented(
    message = "a plan does not write this field: only a person decides on it",
    label = "its `question` is put to a person, and `settle` with the answer gives the \
             writes"
)]
pub trait Written: Kind {}

/// A declared rule may settle a conflict on a field of this kind.
#[diagnostic::on_unimplemented(
    message = "no rule settles this field: it has an owner, or a person decides on it",
    label = "a rule settles a conflict on a `Shared` field"
)]
pub trait SettledByRule: Kind {}

#[diagnostic::do_not_recommend]
impl SettledByRule for Shared {}

#[diagnostic::do_not_recommend]
impl<Policy> Written for Owned<Policy> where Self: Kind {}
#[diagnostic::do_not_recommend]
impl Written for Shared {}

impl<Policy> Kind for Owned<Policy> where Self: sealed::Kind {}
impl Kind for Shared {}
impl Kind for Manual {}

pub(super) mod sealed {
    use super::{Manual, Overwrite, Owned, Queue, Reject, Shared};

    #[diagnostic::on_unimplemented(
        message = "`{Self}` is no kind of field: a field is owned, shared or decided by \
                   a person",
        label = "only the declaration says which"
    )]
    pub trait Kind {}

    impl Kind for Owned<Reject> {}
    impl Kind for Owned<Queue> {}
    impl Kind for Owned<Overwrite> {}
    impl Kind for Shared {}
    impl Kind for Manual {}
}
