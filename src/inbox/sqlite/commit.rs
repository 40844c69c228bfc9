//! How the handling of a fresh event ends in SQLite: its effect is committed, or its
//! failure is.

use rusqlite::Transaction;

use super::rows::write;
use super::{RELEASE, ROLLBACK};
use crate::crash_point::crash_point;
use crate::inbox::failing::{EndedBy, Failing, Outcome, STORING, Unkept};
use crate::inbox::{Committed, Fresh, Handled, HandlerError};
use crate::store::StoreError;
use crate::store::sqlite::now;

impl<'c, A> Fresh<Transaction<'c>, A> {
    /// The transaction in which the effect belongs.
    pub const fn transaction(&self) -> &Transaction<'c> {
        &self.transaction
    }

    /// Commits the effect, and with it that the event is processed.
    ///
    /// # Errors
    ///
    /// An error of the database, or a handler that ended the transaction by SQL. Then
    /// nothing is stored, and the event comes again.
    pub fn commit(self) -> Result<Committed<A>, StoreError> {
        self.keep().map_err(Unkept::into_error)
    }

    pub(super) fn keep(self) -> Result<Committed<A>, Unkept<A>> {
        let Self { transaction, event, reply } = self;
        // SQLite knows the savepoint in no other transaction than its own.
        let released = transaction.execute_batch(RELEASE);
        let by = match &released {
            Err(error) if is_ended(&transaction, error) => EndedBy::Handler,
            _ => EndedBy::Inbox,
        };
        let committed = released.and_then(|()| {
            crash_point("before the effect commits");
            transaction.commit()
        });
        if let Err(error) = committed {
            return Err(Unkept::of_commit(error, by, event, reply));
        }
        crash_point("after the effect");
        Ok(reply.processed(event))
    }

    /// Rolls back what the handler wrote, and commits its failure. The event is tried
    /// again while the policy of the [`InboxConfig`](crate::inbox::InboxConfig) allows,
    /// and becomes a dead letter after that.
    ///
    /// # Errors
    ///
    /// An error of the database, or a failure that [spends no attempt](HandlerError).
    /// Then nothing is stored, and the event comes again.
    pub fn fail(self, error: HandlerError) -> Result<Handled<A>, StoreError> {
        self.record(error).map_err(Unkept::into_error)
    }

    pub(super) fn record(self, error: HandlerError) -> Result<Handled<A>, Unkept<A>> {
        let Self { transaction, event, reply } = self;
        if !error.counts {
            return Err(Unkept::of_no_attempt(error));
        }
        let unstored =
            |error: rusqlite::Error| Unkept::Untouched(StoreError::new(STORING, error));
        if let Err(cause) = transaction.execute_batch(ROLLBACK) {
            return Err(if is_ended(&transaction, &cause) {
                Unkept::of_handler(error, event, reply)
            } else {
                unstored(cause)
            });
        }
        let stored = || {
            let outcome = Failing::Handler { event, error }.at(now(&transaction)?);
            write(&transaction, outcome.entry())?;
            transaction.commit()?;
            Ok(outcome)
        };
        let outcome: Outcome = stored().map_err(unstored)?;
        Ok(outcome.report(reply))
    }
}

/// Whether a savepoint is not there because its transaction is not.
fn is_ended(transaction: &Transaction<'_>, error: &rusqlite::Error) -> bool {
    transaction.is_autocommit() || error.to_string().starts_with("no such savepoint")
}
