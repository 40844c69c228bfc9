//! A delivery is received in the caller's transaction of SQLite.

use rusqlite::{DropBehavior, Transaction};

use super::SAVEPOINT;
use super::rows::{find, remember, write, write_processed};
use crate::broker::Delivery;
use crate::inbox::intake::{Counted, Found, Intake, RECEIVING, intake, met, received};
use crate::inbox::{Fresh, InboxConfig, Receipt};
use crate::store::StoreError;
use crate::store::error::Doing;
use crate::store::sqlite::{now, still_open};

/// Receives a delivery in the caller's open transaction, and finds whether its event is
/// fresh or a duplicate.
///
/// Begin the transaction as `IMMEDIATE`, or two consumers of one file may meet in a
/// deadlock, which the database answers with an error.
///
/// A handler that ends its process is not counted here: [`process`](super::process)
/// counts it.
///
/// # Errors
///
/// What the database answers. It drops the delivery, which comes again.
pub fn receive<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
) -> Result<Receipt<Transaction<'c>, A>, StoreError> {
    take_in(transaction, delivery, config, Counted::AtItsEnd)
}

/// Finds what follows of a delivery, and stores what is to be stored before its handler.
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
    let refusal = config.refusal(&event);
    let found = if refusal.is_some() {
        Found::of(find(&transaction, &event).doing(RECEIVING)?)
    } else if remember(&transaction, &event).doing(RECEIVING)? {
        Found::Nothing
    } else {
        Found::of(met(find(&transaction, &event).doing(RECEIVING)?, &event)?)
    };
    let (event, reply) = match intake(event, found, refusal, counted)? {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => {
            write_processed(&transaction, &event).doing(RECEIVING)?;
            (event, reply.buried(is_buried))
        }
        Intake::Bury(failing) => {
            let outcome = failing.at(now(&transaction).doing(RECEIVING)?);
            write(&transaction, outcome.entry()).doing(RECEIVING)?;
            transaction.commit().doing(RECEIVING)?;
            return Ok(Receipt::DeadLettered(outcome.bury(reply)));
        }
        Intake::Done(done) => return Ok(reply.done(done)),
    };
    transaction.execute_batch(SAVEPOINT).doing(RECEIVING)?;
    let reply = reply.handling(&event);
    Ok(Receipt::New(Fresh { transaction, event, reply }))
}
