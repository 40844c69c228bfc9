//! What a delivery does not let anybody do before its event is known and stored: verbs that
//! never compile, for the words of their errors.

use std::future::{Ready, ready};

use super::{BrokerError, Delivery};
use crate::RawEvent;

/// What is committed, and so can be acked. Nothing implements it: what is committed has an
/// `ack` of its own.
#[diagnostic::on_unimplemented(
    message = "a message is acked only once what became of its event is committed",
    label = "ack what `commit`, or `process` of an inbox, returns"
)]
pub trait Stored {}

/// What an inbox has found to be new, and so hands its event out. Nothing implements it.
#[diagnostic::on_unimplemented(
    message = "a delivery hands its event out only once an inbox knows that it is new",
    label = "let a `Worker`, or `process` of an inbox, run a handler"
)]
pub trait KnownToBeNew {}

impl<A> Delivery<A> {
    #[doc(hidden)]
    pub fn ack(self) -> Ready<Result<(), BrokerError>>
    where
        Self: Stored,
    {
        ready(Ok(()))
    }

    #[doc(hidden)]
    pub fn payload(&self) -> &RawEvent
    where
        Self: KnownToBeNew,
    {
        self.facts().payload()
    }
}
