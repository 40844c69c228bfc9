//! A delivery is received in the caller's transaction of PostgreSQL.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio_postgres::Transaction;

use super::SAVEPOINT;
use super::rows::{
    check_place, find, now, remember, unindexable, write, write_processed,
};
use crate::Envelope;
use crate::broker::Delivery;
use crate::inbox::intake::{Counted, Found, Intake, RECEIVING, intake, met, received};
use crate::inbox::{Fresh, InboxConfig, Receipt};
use crate::state::Acknowledged;
use crate::store::StoreError;
use crate::store::error::Doing;

/// The caller's open transaction, as a [`Fresh`] event holds it:
/// [`Fresh::transaction`] lends it. Name this type only to spell that of a `Fresh`.
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

/// Receives a delivery in the caller's open transaction: its event is fresh, or a
/// duplicate.
///
/// If another transaction is processing the same event, this one waits for its end.
///
/// The inbox commits the transaction, and so needs that of tokio-postgres itself. With
/// deadpool-postgres, whose transaction is a wrapper, begin it by
/// `tokio_postgres::Client::transaction(&mut pooled)`, not `pooled.transaction()`.
///
/// An attempt whose handler ends the process does not count here;
/// [`process`](super::process) counts it.
///
/// # Errors
///
/// An error of the database. It drops the delivery, which comes again.
pub fn receive<'f, 'c: 'f, T: WholeTransaction<'c>, A: Send + 'f>(
    transaction: T,
    delivery: Delivery<A>,
    config: &'f InboxConfig,
) -> Receiving<'f, Receipt<InboxTransaction<'c>, A>> {
    let transaction = transaction.into();
    Box::pin(take_in(transaction, delivery, config, Counted::AtItsEnd))
}

/// The future of [`receive`] and [`redrive`](super::redrive). It does not name the type
/// of the transaction, so that a wrong one is one error, at the argument.
pub type Receiving<'f, T> =
    Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// A transaction that the inbox can commit: that of tokio-postgres, by value. Nothing
/// else implements it.
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

/// Receives a delivery, whose attempt is counted ahead or at its end.
pub(super) async fn take_in<'c, A>(
    transaction: Transaction<'c>,
    delivery: Delivery<A>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<Receipt<InboxTransaction<'c>, A>, StoreError> {
    let (event, reply) = received(delivery, config);
    let (intake, nesting) = decide(&transaction, event, config, counted).await?;
    let (event, reply) = match intake {
        Intake::Handle(event) => (event, reply),
        Intake::HandleAgain { event, is_buried } => (event, reply.buried(is_buried)),
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

/// Decides what follows of a delivery. If its handler is to run, this remembers the event
/// and sets a savepoint behind it.
pub(super) async fn decide(
    transaction: &Transaction<'_>,
    event: Envelope<Acknowledged>,
    config: &InboxConfig,
    counted: Counted,
) -> Result<(Intake, Nesting), StoreError> {
    let refusal = unindexable(&event).or_else(|| config.refusal(&event));
    let mut nesting = Nesting::Unknown;
    let mut known = None;
    // Of what was counted ahead, the inbox has a row, unless that was taken back. To try
    // to remember it would set a savepoint around the row's change.
    if refusal.is_some() || counted == Counted::Ahead {
        check_place(transaction).await.doing(RECEIVING)?;
        known = find(transaction, &event).await.doing(RECEIVING)?;
    }
    let found = if refusal.is_some() || known.is_some() {
        Found::of(known)
    } else if let Some(new) = remember(transaction, &event).await.doing(RECEIVING)? {
        nesting = new;
        Found::Nothing
    } else {
        Found::of(met(find(transaction, &event).await.doing(RECEIVING)?, &event)?)
    };
    let intake = intake(event, found, refusal, counted)?;
    if let Intake::HandleAgain { event, .. } = &intake {
        // The savepoint comes after the row's lock: a failure must not release the row
        // before it is stored. Both in one round trip.
        let written = write_processed(transaction, event);
        tokio::try_join!(biased; written, transaction.batch_execute(SAVEPOINT))
            .doing(RECEIVING)?;
    }
    Ok((intake, nesting))
}
