//! A delivery is received in the caller's transaction of PostgreSQL.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio_postgres::Transaction;

use super::SAVEPOINT;
use super::rows::{
    check_place, find, now, remember, unindexable, write, write_processed,
};
use crate::broker::Delivery;
use crate::inbox::intake::{Counted, Found, Intake, RECEIVING, intake, met, received};
use crate::inbox::{Fresh, InboxConfig, Receipt};
use crate::store::StoreError;
use crate::store::error::Doing;

/// An open transaction of the caller's, and whether it is one within another. Name it
/// only to write the type of a [`Fresh`].
///
/// [`Fresh::transaction`] gives the transaction itself.
pub struct InboxTransaction<'c> {
    pub(super) transaction: Transaction<'c>,
    pub(super) nesting: Nesting,
}

impl fmt::Debug for InboxTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxTransaction")
            .field("nesting", &self.nesting)
            .finish_non_exhaustive()
    }
}

/// How a transaction lies within others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// It lies in no other one.
    Outermost,
    /// It may be a savepoint in another one.
    Unknown,
}

/// Receives a delivery in the caller's open transaction, and finds whether its event is
/// fresh or a duplicate.
///
/// Where another transaction is about to process the same event, this one waits until
/// that has ended.
///
/// It commits the transaction, and so takes that of tokio-postgres itself. The one of
/// deadpool-postgres is a wrapper: begin it by `Client::transaction(&mut pooled)`, of
/// `tokio_postgres::Client`, instead of `pooled.transaction()`.
///
/// A handler that ends its process is not counted here: [`process`](super::process)
/// counts it.
///
/// # Errors
///
/// What the database answers. It drops the delivery, which comes again.
pub fn receive<'f, 'c: 'f, T: WholeTransaction<'c>, A: Send + 'f>(
    transaction: T,
    delivery: Delivery<A>,
    config: &'f InboxConfig,
) -> Receiving<'f, Receipt<InboxTransaction<'c>, A>> {
    let transaction = transaction.into();
    Box::pin(take_in(transaction, delivery, config, Counted::AtItsEnd))
}

/// The answer of [`receive`] and [`redrive`](super::redrive). It does not name the type
/// of the transaction: a wrong one is one error, where it stands.
pub type Receiving<'f, T> =
    Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// A transaction that the inbox can commit: that of tokio-postgres itself, by value.
/// Nothing else implements it.
#[diagnostic::on_unimplemented(
    message = "the inbox commits this transaction, and so takes one of tokio-postgres itself: `{Self}` is none",
    label = "needs `Client::transaction(&mut client).await?`, of `tokio_postgres::Client`",
    note = "a pool's client derefs to that client: the guide has a chapter on drivers"
)]
pub trait WholeTransaction<'c>: Into<Transaction<'c>> + sealed::Whole {}

impl<'c> WholeTransaction<'c> for Transaction<'c> {}

mod sealed {
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be called a whole transaction: only the driver's own is",
        label = "an effect would be acked without its commit"
    )]
    pub trait Whole {}

    impl Whole for tokio_postgres::Transaction<'_> {}
}

/// Finds what follows of a delivery, and stores what is to be stored before its handler.
pub(super) async fn take_in<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<Receipt<InboxTransaction<'c>, A>, StoreError> {
    let (event, reply) = received(delivery, config);
    let refusal = unindexable(&event).or_else(|| config.refusal(&event));
    let mut nesting = Nesting::Unknown;
    let found = if refusal.is_some() {
        check_place(&transaction).await.doing(RECEIVING)?;
        Found::of(find(&transaction, &event).await.doing(RECEIVING)?)
    } else if let Some(new) = remember(&transaction, &event).await.doing(RECEIVING)? {
        nesting = new;
        Found::Nothing
    } else {
        Found::of(met(find(&transaction, &event).await.doing(RECEIVING)?, &event)?)
    };
    let (event, reply) = match intake(event, found, refusal, counted)? {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => {
            // The savepoint comes after the row's lock: a failure must not release the
            // row before it is stored. Both in one journey.
            let written = write_processed(&transaction, &event);
            tokio::try_join!(biased; written, transaction.batch_execute(SAVEPOINT))
                .doing(RECEIVING)?;
            (event, reply.buried(is_buried))
        }
        Intake::Bury(failing) => {
            let outcome = failing.at(now(&transaction).await.doing(RECEIVING)?);
            write(&transaction, outcome.entry()).await.doing(RECEIVING)?;
            transaction.commit().await.doing(RECEIVING)?;
            return Ok(Receipt::DeadLettered(outcome.bury(reply)));
        }
        Intake::Done(done) => return Ok(reply.done(done)),
    };
    let (transaction, reply) =
        (InboxTransaction { transaction, nesting }, reply.handling(&event));
    Ok(Receipt::New(Fresh { transaction, event, reply }))
}
