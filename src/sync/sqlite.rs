//! A SQLite table behind a declared boundary: it reads a row into slots, and writes
//! changes in one statement.

use std::fmt;

use rusqlite::types::{FromSql, ToSqlOutput, Value};
use rusqlite::{Connection, Error, Result, Row, ToSql, Transaction, TransactionBehavior};

use super::apply::Found;
use super::plan::Write;
use super::slot::Slot;
use super::visit::Visit;

/// One record's row in a table that has a column for each field of a boundary, under the
/// field's name.
///
/// The table is your own. A missing row or column is an error of SQLite: records come
/// and go by their [`RecordPlan`](super::RecordPlan).
///
/// ```
/// # mod systems {
/// #     use integration_automation_patterns::sync::{Capability, System};
/// #     pub enum Crm {}
/// #     pub enum Erp {}
/// #     pub struct Key(());
/// #     impl System for Crm { const NAME: &'static str = "crm"; type Key = Key; }
/// #     impl System for Erp { const NAME: &'static str = "erp"; type Key = Key; }
/// #     pub fn connect<S: System<Key = Key>>() -> Capability<S> {
/// #         Capability::mint(&Key(()))
/// #     }
/// # }
/// # use systems::{Crm, Erp, connect};
/// use integration_automation_patterns::boundary;
/// use integration_automation_patterns::sync::sqlite::TableRow;
/// use integration_automation_patterns::sync::{Found, Slot};
/// use rusqlite::Connection;
///
/// boundary! {
///     pub mod contact between Crm and Erp {
///         email: String => Crm,
///         terms: u32 => Erp,
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Connection::open_in_memory()?;
/// db.execute_batch(
///     "CREATE TABLE customer (number TEXT PRIMARY KEY, email TEXT, terms INTEGER);
///      INSERT INTO customer VALUES ('C-1', NULL, 30)",
/// )?;
/// let row = TableRow::new(&db, "customer", ("number", &"C-1"));
/// let read = || {
///     let mut erp = contact::Snapshot::by(&connect::<Erp>());
///     row.read(|columns| erp.each_mut(columns)).map(|()| erp)
/// };
///
/// let mut crm = contact::Snapshot::by(&connect::<Crm>());
/// crm.email = Slot::Value("a@x.org".to_owned());
/// let (erp, known) = (read()?, contact::Bases::default());
/// let plan = contact::reconcile(&crm, &erp, &known);
/// let answers = contact::Answers::default();
/// let changes = plan.changes(&connect::<Erp>(), &answers)?;
///
/// let found = row.write(
///     || Ok(changes.found_in(&read()?)),
///     |update| changes.each(update),
/// )?;
/// assert_eq!(found, Found::AsExpected);
/// assert_eq!(read()?.email, Slot::Value("a@x.org".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct TableRow<'t> {
    connection: &'t Connection,
    table: &'t str,
    key: (&'t str, &'t dyn ToSql),
}

impl fmt::Debug for TableRow<'_> {
    /// The table; never the key, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableRow").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<'t> TableRow<'t> {
    /// The row that has this value in this column.
    pub fn new(
        connection: &'t Connection,
        table: &'t str,
        key: (&'t str, &'t dyn ToSql),
    ) -> Self {
        Self { connection, table, key }
    }

    /// Reads the row into the snapshot that `walk` walks by its `each_mut`.
    ///
    /// # Errors
    ///
    /// SQLite's: no such row or column, or a value of another type.
    pub fn read(&self, walk: impl FnOnce(&mut Columns<'_>)) -> Result<()> {
        let (key, value) = self.key;
        let select =
            format!("SELECT * FROM {} WHERE {} = ?1", quoted(self.table), quoted(key));
        self.connection.query_row(&select, [value], |row| {
            let mut columns = Columns { row, failed: None };
            walk(&mut columns);
            columns.failed.map_or(Ok(()), Err)
        })
    }

    /// Makes the changes that `walk` walks by their `each`, if `found`, which reads the
    /// row again, says that they find what they expect.
    ///
    /// Both run in one transaction, so that no other connection writes in between.
    ///
    /// # Errors
    ///
    /// SQLite's, also if a transaction is open on the connection already; that of `found`;
    /// [`Error::StatementChangedRows`] where the key names more than one row. Nothing is
    /// changed then.
    pub fn write(
        &self,
        found: impl FnOnce() -> Result<Found>,
        walk: impl FnOnce(&mut Update),
    ) -> Result<Found> {
        let immediate = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(self.connection, immediate)?;
        let found = found()?;
        if found == Found::AsExpected {
            let mut update = Update { set: Vec::new(), failed: None };
            walk(&mut update);
            update.carry_out(self)?;
        }
        transaction.commit()?;
        Ok(found)
    }
}

/// The columns of a row: the visitor that reads them into slots.
pub struct Columns<'r> {
    row: &'r Row<'r>,
    failed: Option<Error>,
}

impl fmt::Debug for Columns<'_> {
    /// Never the values, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Columns").finish_non_exhaustive()
    }
}

impl<T: FromSql> Visit<&mut Slot<T>> for Columns<'_> {
    fn visit(&mut self, field: &'static str, slot: &mut Slot<T>) {
        match self.row.get::<_, Option<T>>(field) {
            Ok(value) => *slot = value.into(),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}

/// The changes to a row: the visitor that makes one statement of them.
pub struct Update {
    set: Vec<(&'static str, Value)>,
    failed: Option<Error>,
}

impl fmt::Debug for Update {
    /// The columns; never the values, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.set.iter().map(|(column, _)| column).collect::<Vec<_>>();
        f.debug_struct("Update").field("columns", &columns).finish_non_exhaustive()
    }
}

impl<T: ToSql + PartialEq> Visit<&Option<Write<'_, T>>> for Update {
    fn visit(&mut self, field: &'static str, write: &Option<Write<'_, T>>) {
        let Some(write) = write.filter(|write| !write.is_check()) else { return };
        match write.value().to_sql().and_then(owned) {
            Ok(value) => self.set.push((field, value)),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}

impl Update {
    fn carry_out(self, row: &TableRow<'_>) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.set.is_empty() {
            return Ok(());
        }
        let set = self.set.iter().map(|(column, _)| format!("{} = ?", quoted(column)));
        let update = format!(
            "UPDATE {} SET {} WHERE {} = ?",
            quoted(row.table),
            set.collect::<Vec<_>>().join(", "),
            quoted(row.key.0)
        );
        let values = self.set.iter().map(|(_, value)| -> &dyn ToSql { value });
        let values = values.chain([row.key.1]).collect::<Vec<_>>();
        // One row was read and checked: no other of the same key is overwritten unseen.
        match row.connection.execute(&update, values.as_slice())? {
            1 => Ok(()),
            rows => Err(Error::StatementChangedRows(rows)),
        }
    }
}

/// A value that outlives what it was made of.
fn owned(value: ToSqlOutput<'_>) -> Result<Value> {
    match value {
        ToSqlOutput::Owned(value) => Ok(value),
        ToSqlOutput::Borrowed(value) => value
            .try_into()
            .map_err(|error| Error::ToSqlConversionFailure(Box::new(error))),
        _ => Err(Error::ToSqlConversionFailure("wanted a value of a column".into())),
    }
}

/// A name as a quoted identifier of SQLite.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
