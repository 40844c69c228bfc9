//! Statements that a connection has prepared, and open transactions that use them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, GenericClient, Row, Statement, Transaction};

use super::link::Value;

/// The statements that one connection has prepared. PostgreSQL parses and plans each of
/// them once, and otherwise again in every call.
///
/// Keep one for each connection, and hand in `statements.on(&transaction)` instead of
/// `&transaction`. [`enqueue`](crate::outbox::postgres::enqueue) and
/// [`enqueue_all`](crate::outbox::postgres::enqueue_all) prepare a statement at its first
/// use, in a round trip of its own. They cannot do so by themselves, since a transaction
/// does not say which connection it is of. Other calls take `statements.on(&transaction)`
/// as they take `&transaction`.
///
/// On another connection, PostgreSQL does not know these statements: it refuses the call
/// and aborts the transaction. The same happens behind a pooler that gives each
/// transaction another session and keeps no prepared statements (PgBouncer keeps them
/// from 1.21 on, with `max_prepared_statements`): hand in `&transaction` there.
///
/// ```no_run
/// use integration_automation_patterns::outbox::Enqueued;
/// use integration_automation_patterns::outbox::postgres::{Statements, enqueue};
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// # async fn import(
/// #     crm: &mut tokio_postgres::Client,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let statements = Statements::new(); // of the connection `crm`
/// for name in ["Ada", "Grace"] {
///     let business = crm.transaction().await?;
///     business.execute("INSERT INTO lead VALUES ($1)", &[&name]).await?;
///     let event =
///         Envelope::builder("crm", RawEvent::new("crm.lead.created", name)).build()?;
///     let enqueued = enqueue(&statements.on(&business), event).await?;
///     assert_eq!(enqueued, Enqueued::New);
///     business.commit().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Statements {
    prepared: Mutex<HashMap<String, Statement>>,
}

impl Statements {
    /// None so far: for a connection that has just been made.
    pub fn new() -> Self {
        Self::default()
    }

    /// An open transaction of their connection, with these statements.
    pub const fn on<'a>(&'a self, transaction: &'a Transaction<'_>) -> Session<'a> {
        Session { transaction, statements: Some(self) }
    }

    /// A statement, prepared where it is not yet. Types that are not given are those that
    /// PostgreSQL infers.
    pub(super) async fn prepare(
        &self,
        client: &impl GenericClient,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, Error> {
        let prepared = self.prepared().get(sql).cloned();
        if let Some(prepared) = prepared {
            return Ok(prepared);
        }
        let prepared = client.prepare_typed(sql, types).await?;
        self.prepared().insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<String, Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements")
            .field("prepared", &self.prepared().len())
            .finish_non_exhaustive()
    }
}

/// An open transaction, and the statements of its connection where the caller keeps any:
/// [`Statements::on`] makes it.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    transaction: &'a Transaction<'a>,
    statements: Option<&'a Statements>,
}

impl<'a> Session<'a> {
    /// A transaction whose connection has prepared nothing.
    pub(crate) const fn unprepared(transaction: &'a Transaction<'_>) -> Self {
        Self { transaction, statements: None }
    }

    pub(crate) const fn transaction(self) -> &'a Transaction<'a> {
        self.transaction
    }

    /// The rows of a statement, in one round trip once it is prepared, and also where it
    /// is not to be.
    pub(crate) async fn query(
        self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        let Some(statements) = self.statements else {
            return self.transaction.query_typed(sql, values).await;
        };
        let (values, types) = apart(values);
        let statement = statements.prepare(self.transaction, sql, &types).await?;
        self.transaction.query(&statement, &values).await
    }

    /// The one row of a statement, where there is one.
    pub(crate) async fn query_opt(
        self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, Error> {
        let Some(statements) = self.statements else {
            return self.transaction.query_typed_opt(sql, values).await;
        };
        let (values, types) = apart(values);
        let statement = statements.prepare(self.transaction, sql, &types).await?;
        self.transaction.query_opt(&statement, &values).await
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("statements", &self.statements)
            .finish_non_exhaustive()
    }
}

fn apart<'v>(values: &[Value<'v>]) -> (Vec<&'v (dyn ToSql + Sync)>, Vec<Type>) {
    values.iter().cloned().unzip()
}
