//! Making up a snapshot from its parts
//@ code: E0423
//@ error: cannot initialize a tuple struct which contains private fields
//@ twin: Snapshot => Draft

use std::marker::PhantomData;

use ui::{Crm, contact};

pub struct Draft<S>(pub contact::Slots, pub PhantomData<fn() -> S>);
pub use contact::Snapshot;

pub fn make() {
    let _ = Snapshot(contact::Slots::default(), PhantomData::<fn() -> Crm>); //@ here
}
