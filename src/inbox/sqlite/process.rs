//! A delivery from its receipt to its end in one call, in SQLite.

use std::ops::ControlFlow;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::counting::{begin_attempt, take_back};
use super::receive::take_in;
use super::rows::{find, write};
use crate::Envelope;
use crate::broker::Delivery;
use crate::inbox::counting::Tally;
use crate::inbox::failing::{Ended, Meanwhile, STORING, Unkept};
use crate::inbox::handler_error::caught;
use crate::inbox::intake::RECEIVING;
use crate::inbox::{Handled, HandlerError, InboxConfig};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::now;

/// Receives a delivery, runs its handler, and commits: the common case in one call.
///
/// If the handler fails, this rolls back what it wrote and stores its failure. An error
/// that it returns by `?`, and a panic, are transient failures;
/// [`HandlerError::permanent`] says that no attempt can succeed. The handler also fails
/// if the database refuses its writes at the commit (a deferred constraint, a failed
/// statement that it ignored), or if it ends the transaction by SQL, which only the inbox
/// may do.
///
/// For a [redelivery](Delivery::is_redelivered), this counts and commits the attempt
/// before the handler runs, so that a handler that ends its process [does not come back
/// forever](super::super#a-handler-that-ends-its-process).
///
/// # Errors
///
/// An error of the database that is not the event's fault: the file is busy, or the disk
/// is full or fails. Then nothing is stored, no attempt is spent, and the event comes
/// again. A handler that commits by SQL is an error too: the event counts as processed,
/// and what the handler wrote stays.
pub fn process<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    config: &InboxConfig,
    handler: impl FnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    let mut tally = Tally::new(&delivery, config);
    let handled = attempt(connection, delivery, config, &mut tally, handler);
    let is_stored = match (&handled, tally.to_take_back()) {
        (Ok(_), _) => true,
        (Err(_), Some(begun)) => take_back(connection, [begun]).is_ok(),
        (Err(_), None) => false,
    };
    tally.end(is_stored);
    handled
}

fn attempt<A>(
    connection: &mut Connection,
    delivery: Delivery<A>,
    config: &InboxConfig,
    tally: &mut Tally<'_>,
    handler: impl FnOnce(
        &Transaction<'_>,
        &Envelope<Acknowledged>,
    ) -> Result<(), HandlerError>,
) -> Result<Handled<A>, StoreError> {
    if delivery.is_redelivered() {
        begin_attempt(connection, &delivery, config, tally)?;
    }
    let transaction = begin(connection).doing(RECEIVING)?;
    let fresh = match take_in(transaction, delivery, config, tally.counted())?.fresh() {
        ControlFlow::Continue(fresh) => fresh,
        ControlFlow::Break(handled) => return Ok(handled),
    };
    tally.handler_begins();
    let handled = fresh.in_span(|| caught(|| handler(&fresh.transaction, &fresh.event)));
    tally.handler_ended(&handled);
    let stored = match handled {
        Ok(()) => fresh.keep().map(Handled::Processed),
        Err(error) => fresh.record(error),
    };
    stored.or_else(|unkept| match unkept {
        Unkept::Untouched(error) => Err(error),
        Unkept::Ended(ended) => store(connection, *ended),
    })
}

pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Stores a failure in a transaction of its own, as far as the row still waits for it.
pub(super) fn store<A>(
    connection: &mut Connection,
    ended: Ended<A>,
) -> Result<Handled<A>, StoreError> {
    let (failing, late) = ended.into_parts();
    let stored = || {
        let transaction = begin(connection)?;
        let outcome = failing.at(now(&transaction)?);
        let found = find(&transaction, outcome.event())?;
        let meanwhile = Meanwhile::of(found.as_ref(), &outcome);
        if meanwhile == Meanwhile::Nothing {
            write(&transaction, outcome.entry())?;
        }
        transaction.commit()?;
        Ok::<_, rusqlite::Error>((outcome, meanwhile))
    };
    let (outcome, meanwhile) = stored().doing(STORING)?;
    late.report(outcome, meanwhile)
}
