//! `Columns`: the visitor that reads the columns of a row into slots.

use std::fmt;

use rusqlite::types::FromSql;
use rusqlite::{Error, Result, Row};

use super::{Slot, TableRow, Visit};

/// The columns of a row: the visitor that reads them into slots.
///
/// A column is read as any type that is [`FromSql`] and written as any that is
/// [`ToSql`](rusqlite::ToSql): numbers, `bool`, `String`, `Vec<u8>`; with the features of
/// `rusqlite` of these names, the types of `chrono`, `uuid` and `serde_json`. A type of
/// your own, such as an enum, implements both.
pub struct Columns<'r> {
    table: TableRow<'r>,
    row: &'r Row<'r>,
    /// The fields that the table calls otherwise or does not have, and that were not
    /// visited yet.
    not_visited: Vec<&'r str>,
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
        self.not_visited.retain(|other| *other != field);
        if self.table.without.contains(&field) {
            *slot = Slot::Unsupported;
            return;
        }
        match self.row.get::<_, Option<T>>(self.table.column(field)) {
            Ok(value) => *slot = value.into(),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }
}

impl<'r> Columns<'r> {
    pub(super) fn new(table: TableRow<'r>, row: &'r Row<'r>) -> Self {
        let renamed = table.columns.iter().map(|(field, _)| *field);
        let not_visited = renamed.chain(table.without.iter().copied()).collect();
        Self { table, row, not_visited, failed: None }
    }

    /// Whether every column was read, and whatever the table calls otherwise or does not
    /// have is one of the fields.
    pub(super) fn done(self) -> Result<()> {
        let unknown = self.not_visited.first().map(|field| (*field).to_owned());
        let unknown = unknown.map(Error::InvalidColumnName);
        self.failed.or(unknown).map_or(Ok(()), Err)
    }
}
