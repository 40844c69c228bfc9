//! A delivery is received in the caller's transaction of SQLite.

use rusqlite::{DropBehavior, Transaction};

use super::SAVEPOINT;
use super::rows::{find, remember, write, write_processed};
use crate::Envelope;
use crate::broker::Delivery;
use crate::inbox::intake::{Counted, Found, Intake, RECEIVING, intake, met, received};
use crate::inbox::{Fresh, InboxConfig, Receipt};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{now, still_open};

/// Receives a delivery in the caller's open transaction: its event is fresh, or a
/// duplicate.
///
/// Begin the transaction as `IMMEDIATE`: otherwise two consumers of one file may
/// deadlock, which is an error.
///
/// An attempt whose handler ends the process does not count here;
/// [`process`](super::process) counts it.
///
/// # Errors
///
/// An error of the database. It drops the delivery, which comes again.
pub fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, config, Counted::AtItsEnd)
}

/// Receives a delivery, whose attempt is counted ahead or at its end.
pub(super) fn take_in<'c, A>(
    mut transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    still_open(&transaction, RECEIVING)?;
    // Dropped, a fresh event rolls back, whatever its caller has set.
    transaction.set_drop_behavior(DropBehavior::Rollback);
    let (event, reply) = received(delivery, config);
    let (event, reply) = match decide(&transaction, event, config, counted)? {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => (event, reply.buried(is_buried)),
        Intake::Bury(failing) => {
            let outcome = failing.at(now(&transaction).doing(RECEIVING)?);
            write(&transaction, outcome.entry()).doing(RECEIVING)?;
            transaction.commit().doing(RECEIVING)?;
            return Ok(Receipt::DeadLettered(outcome.bury(reply)));
        }
        Intake::Done(done) => return Ok(reply.done(done)),
    };
    let reply = reply.handling(&event);
    Ok(Receipt::New(Fresh { transaction, event, reply }))
}

/// Decides what follows of a delivery. If its handler is to run, this remembers the event
/// and sets a savepoint behind it.
pub(super) fn decide(
    transaction: &Transaction<'_>,
    event: Envelope<Acknowledged>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<Intake, StoreError> {
    let refusal = config.refusal(&event);
    let found = if refusal.is_some() {
        Found::of(find(transaction, &event).doing(RECEIVING)?)
    } else if remember(transaction, &event).doing(RECEIVING)? {
        Found::Nothing
    } else {
        Found::of(met(find(transaction, &event).doing(RECEIVING)?, &event)?)
    };
    let intake = intake(event, found, refusal, counted)?;
    if let Intake::HandleAgain { event, .. } = &intake {
        write_processed(transaction, event).doing(RECEIVING)?;
    }
    if matches!(intake, Intake::Handle(_) | Intake::HandleAgain { .. }) {
        transaction.execute_batch(SAVEPOINT).doing(RECEIVING)?;
    }
    Ok(intake)
}
