//! A SQLite table behind a declared boundary: it reads a row into slots, and writes
//! changes in one statement.

use std::fmt;
use std::marker::PhantomData;

use rusqlite::types::{FromSql, ToSqlOutput, Value};
use rusqlite::{Connection, Error, Result, Row, ToSql, Transaction, TransactionBehavior};

use super::apply::Found;
use super::plan::Write;
use super::slot::Slot;
use super::system::{Capability, System};
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
/// use integration_automation_patterns::sync::Slot;
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
/// let mut row = TableRow::new(&db, "customer", ("number", &"C-1")).of(&connect::<Erp>());
///
/// let mut crm = contact::Snapshot::by(&connect::<Crm>());
/// crm.email = Slot::Value("a@x.org".to_owned());
/// let (erp, known) = (row.read()?, contact::Bases::default());
/// let plan = contact::reconcile(&crm, &erp, &known);
/// plan.apply(contact::Answers::default(), &mut crm.clone(), &mut row)?;
/// let erp: contact::Snapshot<Erp> = row.read()?;
/// assert_eq!(erp.email, Slot::Value("a@x.org".to_owned()));
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

    /// The row as a store of the system whose capability it is.
    pub fn of<S: System>(self, _: &Capability<S>) -> SystemRow<'t, S> {
        SystemRow { row: self, system: PhantomData }
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

/// A row as one system's store: every declared boundary whose fields have column types
/// reads it and writes to it.
///
/// A store of your own that says what a system refuses or keeps instead is written with
/// [`TableRow::read`] and [`TableRow::write`].
pub struct SystemRow<'t, S> {
    row: TableRow<'t>,
    system: PhantomData<fn() -> S>,
}

impl<S: System> fmt::Debug for SystemRow<'_, S> {
    /// The system and the table; never the key, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemRow")
            .field("system", &S::NAME)
            .field("table", &self.row.table)
            .finish_non_exhaustive()
    }
}

impl<'t, S> SystemRow<'t, S> {
    /// The row.
    pub fn row(&self) -> TableRow<'t> {
        self.row
    }

    /// What the system shows: the snapshot of a boundary.
    ///
    /// # Errors
    ///
    /// SQLite's: no such row or column, or a value of another type.
    pub fn read<R: ReadRow<S>>(&self) -> Result<R> {
        R::read_row(self)
    }
}

/// What a system's row is read into: the `Snapshot` of every declared boundary whose
/// fields have column types.
#[diagnostic::on_unimplemented(
    message = "a row of SQLite is not read into `{Self}`",
    label = "wanted the `Snapshot` of a boundary, for the system of the row, with fields \
             that are `FromSql`"
)]
pub trait ReadRow<S>: Sized {
    /// Reads the row of a system.
    ///
    /// # Errors
    ///
    /// SQLite's.
    fn read_row(row: &SystemRow<'_, S>) -> Result<Self>;
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
