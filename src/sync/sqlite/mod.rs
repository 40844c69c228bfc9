//! A row of a SQLite table behind a declared boundary: it is read into slots, and takes
//! changes in one transaction.

mod columns;
mod update;
mod whole;
mod written;

use std::fmt;
use std::marker::PhantomData;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Result, ToSql};

use super::apply::Found;
use super::slot::Slot;
use super::system::{Capability, System};
use super::visit::Visit;
use super::write::Write;
use whole::Whole;

pub use columns::Columns;
pub use update::Update;
pub use written::{RowError, Written};

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
    columns: &'t [(&'t str, &'t str)],
    without: &'t [&'t str],
    record: Option<&'t str>,
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
        Self { connection, table, key, columns: &[], without: &[], record: None }
    }

    /// The same row, whose table calls the columns of these fields otherwise: pairs of a
    /// field and its column.
    ///
    /// ```
    /// # use integration_automation_patterns::sync::sqlite::TableRow;
    /// # use integration_automation_patterns::sync::{Slot, declared::Visit};
    /// # let db = rusqlite::Connection::open_in_memory()?;
    /// # db.execute_batch(
    /// #     "CREATE TABLE debtor (id, tel); INSERT INTO debtor VALUES (7, '1')",
    /// # )?;
    /// let row = TableRow::new(&db, "debtor", ("id", &7)).columns(&[("phone", "tel")]);
    /// let mut phone = Slot::<String>::Unread;
    /// row.read(|columns| columns.visit("phone", &mut phone))?;
    /// assert_eq!(phone, Slot::Value("1".to_owned()));
    /// # Ok::<(), rusqlite::Error>(())
    /// ```
    #[must_use = "this gives the row with the names of its columns"]
    pub fn columns(self, columns: &'t [(&'t str, &'t str)]) -> Self {
        Self { columns, ..self }
    }

    /// The same row, whose table has no columns for these fields: they are
    /// [`Slot::Unsupported`].
    ///
    /// ```
    /// # use integration_automation_patterns::sync::sqlite::TableRow;
    /// # use integration_automation_patterns::sync::{Slot, declared::Visit};
    /// # let db = rusqlite::Connection::open_in_memory()?;
    /// # db.execute_batch("CREATE TABLE sample (id); INSERT INTO sample VALUES (7)")?;
    /// let row = TableRow::new(&db, "sample", ("id", &7)).without(&["insurer"]);
    /// let mut insurer = Slot::<String>::Unread;
    /// row.read(|columns| columns.visit("insurer", &mut insurer))?;
    /// assert_eq!(insurer, Slot::Unsupported);
    /// # Ok::<(), rusqlite::Error>(())
    /// ```
    #[must_use = "this gives the row with the fields that it has"]
    pub fn without(self, fields: &'t [&'t str]) -> Self {
        Self { without: fields, ..self }
    }

    /// The same row, with the record that it is of, as the plan is told by its `about`:
    /// for a table whose key is not the record's id.
    #[must_use = "this gives the row with its record"]
    pub fn about(self, record_id: &'t str) -> Self {
        Self { record: Some(record_id), ..self }
    }

    /// The row as a store of the system whose capability it is.
    pub fn of<S: System>(self, _: &Capability<S>) -> SystemRow<'t, S> {
        SystemRow { row: self, system: PhantomData }
    }

    /// Reads the row into the snapshot that `walk` walks by its `each_mut`.
    ///
    /// # Errors
    ///
    /// SQLite's: no such row or column, or a value of another type; and
    /// [`InvalidColumnName`](rusqlite::Error::InvalidColumnName) where
    /// [`columns`](Self::columns) or [`without`](Self::without) names what is no field.
    pub fn read(&self, walk: impl FnOnce(&mut Columns<'_>)) -> Result<()> {
        let (key, value) = self.key;
        let select =
            format!("SELECT * FROM {} WHERE {} = ?1", quoted(self.table), quoted(key));
        self.connection.query_row(&select, [value], |row| {
            let mut columns = Columns::new(*self, row);
            walk(&mut columns);
            columns.done()
        })
    }

    /// Makes the changes that `walk` walks by their `each`, if `found` says of the row as
    /// `read` gives it that they find what they expect. What the table refuses by a rule
    /// of its own (`CHECK`, `NOT NULL`, `UNIQUE`) is left out, and the rest is written.
    ///
    /// All of that is one transaction, so that no other connection writes in between:
    /// one of its own, or a savepoint of the one that is open on the connection, which
    /// then is yours to commit.
    ///
    /// # Errors
    ///
    /// SQLite's; that of `read`, which reads the row again after the changes;
    /// [`StatementChangedRows`](rusqlite::Error::StatementChangedRows) where the key
    /// names more than one row. Nothing is changed then.
    pub fn write<N>(
        &self,
        read: impl Fn() -> Result<N>,
        found: impl FnOnce(&N) -> Found,
        walk: impl FnOnce(&mut Update),
    ) -> Result<Written<N>> {
        let whole = Whole::begin(self.connection)?;
        let now = read()?;
        let written = match found(&now) {
            Found::AsExpected => {
                let mut update = Update::new();
                walk(&mut update);
                let refused = update.carry_out(self)?;
                Written::changed(read()?, refused)
            }
            found => Written::nothing(found, now),
        };
        whole.commit()?;
        Ok(written)
    }

    /// Whether changes about this record may go to this row: the one that
    /// [`about`](Self::about) names, or else the one whose id the key is, if it is a text
    /// or a whole number. Changes about no record may, unless the row was named.
    ///
    /// # Errors
    ///
    /// [`RowError::OtherRecord`], [`RowError::NoRecord`].
    pub fn check_record(&self, record: Option<&str>) -> Result<(), RowError> {
        let table = || self.table.to_owned();
        match (record, self.record) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(RowError::NoRecord { table: table() }),
            (Some(record), own) => {
                let is_own = match own {
                    Some(own) => own == record,
                    None => self.has_key(record)?,
                };
                let other = || RowError::OtherRecord {
                    table: table(),
                    record: record.to_owned(),
                };
                if is_own { Ok(()) } else { Err(other()) }
            }
        }
    }

    /// Whether the key is this, or is something that no record's id is compared with.
    fn has_key(&self, record: &str) -> Result<bool> {
        let key = self.key.1.to_sql()?;
        let key = match &key {
            ToSqlOutput::Borrowed(value) => *value,
            ToSqlOutput::Owned(Value::Text(text)) => ValueRef::Text(text.as_bytes()),
            ToSqlOutput::Owned(Value::Integer(number)) => ValueRef::Integer(*number),
            _ => ValueRef::Null,
        };
        Ok(match key {
            ValueRef::Text(text) => text == record.as_bytes(),
            ValueRef::Integer(number) => number.to_string() == record,
            _ => true,
        })
    }

    /// The column of a field.
    fn column<'f>(&self, field: &'f str) -> &'f str
    where
        't: 'f,
    {
        let mut columns = self.columns.iter();
        columns.find(|(of, _)| *of == field).map_or(field, |(_, column)| column)
    }

    /// The number of rows that the key names.
    fn count(&self) -> Result<usize> {
        let (key, value) = self.key;
        let count = format!(
            "SELECT count(*) FROM {} WHERE {} = ?1",
            quoted(self.table),
            quoted(key)
        );
        let count: u32 = self.connection.query_row(&count, [value], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }
}

/// A row as one system's store: every declared boundary whose fields have column types
/// ([`Columns`]) reads it and writes to it.
///
/// What the table refuses by a rule of its own (`CHECK`, `NOT NULL`, `UNIQUE`, a
/// trigger) is a [`Refusal`](super::Refusal) with SQLite's words, and the other fields
/// are written. What a trigger or the type of a column makes of a value is
/// [`Kept`](super::Kept): read the row by it (`Snapshot::as_kept`).
///
/// Changes about another record are an error, and write nothing: see
/// [`TableRow::check_record`]. On a connection with an open transaction, such as a
/// handler of the inbox has, they are a savepoint of it, and yours to commit.
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

/// A name as a quoted identifier of SQLite.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
