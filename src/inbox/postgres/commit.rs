//! How the handling of a fresh event ends in PostgreSQL: its effect is committed, or its
//! failure is.

use std::future::ready;

use futures_util::TryStreamExt;
use tokio_postgres::{Error, Transaction};

use super::receive::{InboxTransaction, Nesting};
use super::refusal::is_ended;
use super::rows::{now, write};
use super::{RELEASE, ROLLBACK};
use crate::crash_point::crash_point;
use crate::inbox::failing::{EndedBy, Failing, Outcome, STORING, Unkept};
use crate::inbox::{Committed, Fresh, Handled, HandlerError};
use crate::store::StoreError;
use crate::store::error::Doing;

impl<'c, A> Fresh<InboxTransaction<'c>, A> {
    /// The transaction in which the effect belongs.
    pub const fn transaction(&self) -> &Transaction<'c> {
        &self.transaction.transaction
    }

    /// Commits the effect, and with it that the event is processed.
    ///
    /// # Errors
    ///
    /// An error of the database: then nothing is stored, and the event comes again. It is
    /// also an error if the handler ignored a failed statement, after which PostgreSQL
    /// aborts the whole transaction, or if it ended the transaction by SQL.
    pub async fn commit(self) -> Result<Committed<A>, StoreError> {
        self.keep().await.map_err(Unkept::into_error)
    }

    pub(super) async fn keep(self) -> Result<Committed<A>, Unkept<A>> {
        let Self { transaction, event, reply } = self;
        if let Err(error) = commit(transaction).await {
            let by = if is_ended(&error) { EndedBy::Handler } else { EndedBy::Inbox };
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
    pub async fn fail(self, error: HandlerError) -> Result<Handled<A>, StoreError> {
        self.record(error).await.map_err(Unkept::into_error)
    }

    pub(super) async fn record(
        self,
        error: HandlerError,
    ) -> Result<Handled<A>, Unkept<A>> {
        let Self { transaction: InboxTransaction { transaction, .. }, event, reply } =
            self;
        if !error.counts {
            return Err(Unkept::of_no_attempt(error));
        }
        if let Err(cause) = transaction.batch_execute(ROLLBACK).await {
            return Err(if is_ended(&cause) {
                Unkept::of_handler(error, event, reply)
            } else {
                Unkept::Untouched(StoreError::new(STORING, cause))
            });
        }
        let stored = async {
            let outcome = Failing::Handler { event, error }.at(now(&transaction).await?);
            write(&transaction, outcome.entry()).await?;
            transaction.commit().await?;
            Ok(outcome)
        };
        let stored: Result<Outcome, Error> = stored.await;
        Ok(stored.doing(STORING).map_err(Unkept::Untouched)?.report(reply))
    }
}

/// Commits the transaction of an effect. For PostgreSQL it is no error to `COMMIT` an
/// aborted transaction, or none, but it is one to release the savepoint then.
async fn commit(open: InboxTransaction<'_>) -> Result<(), Error> {
    let InboxTransaction { transaction, nesting } = open;
    if nesting == Nesting::Outermost {
        crash_point("before the effect commits");
        // Both in one journey.
        let released = transaction.client().simple_query_raw(RELEASE).await?;
        let released = released.try_for_each(|_| ready(Ok(())));
        tokio::try_join!(biased; released, transaction.commit())?;
    } else {
        // Where the release fails, the drop of this transaction rolls it back, and the
        // one around it goes on.
        transaction.batch_execute(RELEASE).await?;
        crash_point("before the effect commits");
        transaction.commit().await?;
    }
    Ok(())
}
