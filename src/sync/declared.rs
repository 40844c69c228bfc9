//! The types of a declared boundary: what [`boundary!`](crate::boundary) makes its
//! modules of, and what its compile errors name.
//!
//! [`IntoSlot`] and [`Visit`] are for types of your own too, [`FieldValue`] follows from
//! `Eq` and `Clone`, and a declaration implements [`Ruled`] for its fields. The other
//! traits are sealed: a program cannot add to what its declaration says.
//!
//! Each has its counterpart among the types for data, which the module
//! [`sync`](super#two-worlds) lists.

pub use super::entry::{Entry, EntryWrites, FieldRules, IntoSlot};
pub use super::kind::{
    Kind, Manual, Overwrite, Owned, Queue, Reject, Ruled, SettledByRule, Shared, Written,
};
pub use super::slot::FieldValue;
pub use super::system::{
    Further, Here, Includes, Itself, MayDecide, MayWrite, MayWriteExcluded,
};
pub use super::visit::Visit;
