//! Enqueuing through a driver that this crate does not know: one statement, and one
//! trait for the driver's transaction.
//!
//! The [guide](crate::guide::drivers) implements the trait for sqlx, SeaORM and Diesel,
//! and says which drivers need none of this.

mod insert;
#[cfg(feature = "sqlx")]
mod sqlx;

use std::error::Error;
use std::future::Future;

pub(crate) use self::insert::DOING;
pub use self::insert::{Dialect, Insert, Value};
#[cfg(feature = "postgres")]
pub(crate) use self::insert::{ELSEWHERE, HERE};
#[cfg(feature = "sqlite")]
pub(crate) use self::insert::{SQLITE_SILENT, SQLITE_STANDING};
use super::encoded::{Encoded, encoded};
use super::enqueued::{Enqueued, Enqueuing};
use crate::state::Pending;
use crate::store::error::Doing;
use crate::{Envelope, Refused};

/// An open transaction of a driver that this crate does not know.
///
/// Unlike the traits of `outbox::postgres` and `outbox::sqlite`, anyone can implement
/// it, and so you keep its promise: implement it **only for a type that exists while a
/// transaction is open**, that its commit consumes, and that runs every statement in
/// that transaction. A pool, a connection in autocommit mode and a handle that may
/// outlive its transaction do not qualify: an event that they enqueue is stored without
/// the business change. If the driver has no such type and its connection is the
/// transaction (Diesel), ask the connection for its transaction depth before the
/// statement, and return an error if no transaction is open.
///
/// Both the driver's type and this trait are foreign to your crate, so implement it for
/// a wrapper of your own that borrows the transaction:
///
/// ```
/// use integration_automation_patterns::outbox::Enqueued;
/// use integration_automation_patterns::outbox::driver::{
///     Dialect, DriverError, ForeignTransaction, Insert, enqueue,
/// };
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// // What a driver has: `begin` alone makes it, and `commit` takes it.
/// # #[derive(Default)]
/// struct Transaction {
///     statements: Vec<String>,
/// }
///
/// struct Business<'t>(&'t mut Transaction);
///
/// impl ForeignTransaction for Business<'_> {
///     fn dialect(&self) -> Dialect {
///         Dialect::Postgres
///     }
///
///     async fn run(&mut self, insert: &Insert) -> Result<Option<String>, DriverError> {
///         self.0.statements.push(insert.sql().to_owned());
///         Ok(Some("new".to_owned())) // the first column of the row that it gave
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let mut transaction = Transaction::default();
/// let event =
///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
/// let enqueued = enqueue(&mut Business(&mut transaction), event).await?;
/// assert_eq!(enqueued, Enqueued::New);
/// assert_eq!(transaction.statements.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not known as an open transaction of another driver",
    label = "wrap it in a type of yours that has `ForeignTransaction` (the guide: drivers)",
    note = "transactions of tokio-postgres and rusqlite go to `outbox::postgres::enqueue` and `outbox::sqlite::enqueue`"
)]
pub trait ForeignTransaction: Send {
    /// The SQL dialect of the database.
    fn dialect(&self) -> Dialect;

    /// Runs the statement with its values in this transaction, and returns the first
    /// column of its row, a text; `None` if there is no row.
    ///
    /// # Errors
    ///
    /// The driver's error, or one that says that no transaction is open.
    fn run(
        &mut self,
        insert: &Insert,
    ) -> impl Future<Output = Result<Option<String>, DriverError>> + Send;
}

/// Any error of a driver.
pub type DriverError = Box<dyn Error + Send + Sync>;

/// Writes an event into the outbox, in the caller's open transaction of another driver.
///
/// In PostgreSQL, transactions that enqueue events of one ordering key wait for one
/// another, as with `outbox::postgres::enqueue`.
///
/// # Errors
///
/// The driver's error; an event with this id from another system or of another type;
/// or, in PostgreSQL, a search path whose first schema has no outbox. Each gives the
/// event back. After an error from PostgreSQL, the whole transaction has failed.
pub fn enqueue<T: ForeignTransaction, P: Encoded>(
    transaction: &mut T,
    event: Envelope<Pending, P>,
) -> Enqueuing<'_, Enqueued, Envelope<Pending>> {
    let event = encoded(event);
    Box::pin(async move {
        let insert = Insert::new(transaction.dialect(), &event);
        let enqueued = match transaction.run(&insert).await.doing(DOING) {
            Ok(row) => insert.answered(row.as_deref()),
            Err(error) => Err(error),
        };
        enqueued.map_err(|error| Refused::new(event, error))
    })
}
