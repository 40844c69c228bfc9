//! Where an event is enqueued in PostgreSQL: an open transaction of tokio-postgres, by
//! itself, in a pool's wrapper, or with the statements of its connection.

use std::ops::Deref;

use tokio_postgres::Transaction;

use self::sealed::{Itself, Prepared, Wrapped};
use crate::store::postgres::Session;

/// An open transaction of tokio-postgres, a savepoint in one, what derefs to either (such
/// as a transaction of deadpool-postgres), or a [`Session`] of one. Nothing else
/// implements it; `Via` is inferred.
#[diagnostic::on_unimplemented(
    message = "an event is enqueued with the business change, in an open transaction of tokio-postgres, and `{Self}` is none",
    label = "needs `&transaction`, from `let transaction = client.transaction().await?`",
    note = "transactions of sqlx and other drivers go to `outbox::driver::enqueue`: the guide has a chapter on drivers"
)]
pub trait OpenTransaction<Via>: sealed::OpenTransaction<Via> {}

impl OpenTransaction<Itself> for Transaction<'_> {}

#[diagnostic::do_not_recommend]
impl<D: Deref<Target: OpenTransaction<Itself>>> OpenTransaction<Wrapped> for D {}

#[diagnostic::do_not_recommend]
impl OpenTransaction<Prepared> for Session<'_> {}

pub(super) mod sealed {
    use std::ops::Deref;

    use tokio_postgres::Transaction;

    use crate::store::postgres::Session;

    /// How something is a transaction: it tells the implementations apart, which would
    /// overlap otherwise.
    #[derive(Debug)]
    pub struct Itself;
    #[derive(Debug)]
    pub struct Wrapped;
    #[derive(Debug)]
    pub struct Prepared;

    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot be called an open transaction: only the driver's own are",
        label = "an event would be stored without the business change"
    )]
    pub trait OpenTransaction<Via> {
        fn transaction(&self) -> &Transaction<'_>;

        /// The transaction, with the statements of its connection where there are any.
        fn session(&self) -> Session<'_> {
            Session::unprepared(self.transaction())
        }
    }

    impl OpenTransaction<Itself> for Transaction<'_> {
        fn transaction(&self) -> &Transaction<'_> {
            self
        }
    }

    #[diagnostic::do_not_recommend]
    impl<D: Deref<Target: OpenTransaction<Itself>>> OpenTransaction<Wrapped> for D {
        fn transaction(&self) -> &Transaction<'_> {
            (**self).transaction()
        }
    }
    #[diagnostic::do_not_recommend]
    impl OpenTransaction<Prepared> for Session<'_> {
        fn transaction(&self) -> &Transaction<'_> {
            Session::transaction(*self)
        }

        fn session(&self) -> Session<'_> {
            *self
        }
    }
}
