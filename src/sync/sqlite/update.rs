//! `Update`: the visitor that makes one statement of the changes to a row, or, where
//! SQLite refuses some of them, one for each.

use std::fmt;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Error, ErrorCode, Result, ToSql};

use super::whole::Whole;
use super::{TableRow, Visit, Write, quoted};

/// The changes to a row: the visitor that makes one statement of them.
pub struct Update {
    set: Vec<Set>,
    failed: Option<Error>,
}

/// A field, and the value for its column.
type Set = (&'static str, Value);

/// A field, and why SQLite refuses its value.
pub(super) type Refused = (&'static str, String);

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
    pub(super) fn new() -> Self {
        Self { set: Vec::new(), failed: None }
    }

    /// Writes all of the changes but those that SQLite refuses, which come back with its
    /// words.
    ///
    /// # Errors
    ///
    /// What is no refusal of a value: a lock, a full disk, a missing column.
    pub(super) fn carry_out(self, row: &TableRow<'_>) -> Result<Vec<Refused>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match (self.set.as_slice(), write(row, &self.set)?) {
            (_, None) => Ok(Vec::new()),
            ([(field, _)], Some(why)) => Ok(vec![(field, why)]),
            (_, Some(_)) => one_by_one(row, self.set),
        }
    }
}

/// Writes the fields one by one, and those that SQLite refuses once more after the
/// others, which it may have been waiting for: `CHECK (since <= until)`.
fn one_by_one(row: &TableRow<'_>, mut left: Vec<Set>) -> Result<Vec<Refused>> {
    loop {
        let (before, mut refused, mut still) = (left.len(), Vec::new(), Vec::new());
        for set in left {
            if let Some(why) = write(row, std::slice::from_ref(&set))? {
                refused.push((set.0, why));
                still.push(set);
            }
        }
        if still.is_empty() || still.len() == before {
            return Ok(refused);
        }
        left = still;
    }
}

/// Writes these fields in one statement; why not, if SQLite refuses their values.
fn write(row: &TableRow<'_>, set: &[Set]) -> Result<Option<String>> {
    if set.is_empty() {
        return Ok(None);
    }
    let whole = Whole::begin(row.connection)?;
    match update(row, set) {
        Ok(()) => whole.commit().map(|()| None),
        // A constraint may roll back the whole transaction: nothing can go on in it.
        Err(error) if row.connection.is_autocommit() => Err(error),
        Err(error) => refusal(error).map(Some),
    }
}

fn update(row: &TableRow<'_>, set: &[Set]) -> Result<()> {
    let columns =
        set.iter().map(|(field, _)| format!("{} = ?", quoted(row.column(field))));
    let update = format!(
        "UPDATE {} SET {} WHERE {} = ?",
        quoted(row.table),
        columns.collect::<Vec<_>>().join(", "),
        quoted(row.key.0)
    );
    let values = set.iter().map(|(_, value)| -> &dyn ToSql { value });
    let values = values.chain([row.key.1]).collect::<Vec<_>>();
    // One row was read and checked: no other of the same key is overwritten unseen. Of a
    // view, SQLite counts no row.
    let changed = match row.connection.execute(&update, values.as_slice())? {
        0 => row.count()?,
        rows => rows,
    };
    if changed == 1 { Ok(()) } else { Err(Error::StatementChangedRows(changed)) }
}

/// SQLite's words, if it refuses a value by a rule of the table: `CHECK`, `NOT NULL`,
/// `UNIQUE`, a foreign key, the type of a strict table, a trigger's `RAISE(ABORT)`.
fn refusal(error: Error) -> Result<String> {
    match error {
        Error::SqliteFailure(failure, words)
            if failure.code == ErrorCode::ConstraintViolation =>
        {
            Ok(words.unwrap_or_else(|| failure.to_string()))
        }
        error => Err(error),
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
