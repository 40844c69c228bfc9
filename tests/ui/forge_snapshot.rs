//! Making up a snapshot from its parts
//@ code: none
//@ error: cannot construct `Snapshot<_>` with struct literal syntax due to private fields
//@ twin: Snapshot => Draft

use std::marker::PhantomData;

use ui::{Crm, contact};

pub mod local {
    pub struct Draft<S> {
        pub __system: std::marker::PhantomData<fn() -> S>,
    }
}

pub use local::Draft;
pub use contact::Snapshot;

pub fn make() {
    let _ = Snapshot { __system: PhantomData::<fn() -> Crm> }; //@ here
}
