//! `Written`: what came of the changes to a row; and `RowError`, why a row did not take
//! them.

use std::fmt;

use rusqlite::Error;

use super::super::apply::Found;
use super::super::kept::{Kept, KeptForms};
use super::super::refusal::{Refusal, Refusals};
use super::super::write::Write;
use super::Slot;
use super::update::Refused;

/// What came of the changes to a row, which was read into an `N`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Written<N> {
    /// What the changes found: where it is not what they expect, nothing was written.
    pub found: Found,
    /// The row after the changes, read again: a trigger, or the type of a column, may
    /// have made something else of a value.
    pub now: N,
    /// The fields that SQLite refused by a rule of the table, with its words.
    pub refused: Vec<(&'static str, String)>,
}

impl<N> Written<N> {
    pub(super) fn nothing(found: Found, now: N) -> Self {
        Self { found, now, refused: Vec::new() }
    }

    pub(super) fn changed(now: N, refused: Vec<Refused>) -> Self {
        Self { found: Found::AsExpected, now, refused }
    }

    /// Notes what came of the write to one field, which the row shows as this slot.
    pub(crate) fn note<T: Clone + PartialEq>(
        &self,
        field: &'static str,
        write: &Option<Write<'_, T>>,
        now: &Slot<T>,
        refused: &mut Refusals<T>,
        kept: &mut KeptForms<T>,
    ) {
        let is_made = self.found == Found::AsExpected;
        let write = write.as_ref().filter(|write| is_made && !write.is_check());
        let Some((write, shown)) = write.zip(now.read()) else { return };
        match self.refused.iter().find(|(refused, _)| *refused == field) {
            Some((_, why)) => refused.add(Refusal::of(write, why)),
            None => {
                let held = Kept::of(write, shown.into_option().cloned());
                held.into_iter().for_each(|held| kept.add(held));
            }
        }
    }
}

/// Why a row did not take its changes.
#[derive(Debug)]
#[non_exhaustive]
pub enum RowError {
    /// The row is not the record's that the changes are about. Nothing was written.
    OtherRecord {
        /// The table of the row.
        table: String,
        /// The record that the changes are about.
        record: String,
    },
    /// The row was named by [`TableRow::about`](super::TableRow::about), and the plan was
    /// not. Nothing was written.
    NoRecord {
        /// The table of the row.
        table: String,
    },
    /// SQLite did not make the changes, or a value cannot be read again as its type.
    /// Nothing was written.
    Sqlite(Error),
}

impl fmt::Display for RowError {
    // Never the row's key, which may be what no log should hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRecord { table, record } => write!(
                f,
                "changes about {record:?} want the row of that record, and this row of \
                 {table:?} is another's: give each plan its own rows; where the table's \
                 key is not the record's id, name the record by `TableRow::about`"
            ),
            Self::NoRecord { table } => write!(
                f,
                "the row of {table:?} wants changes about its own record, and the plan \
                 of these names none: name it by `Plan::about`"
            ),
            Self::Sqlite(_) => f.write_str(
                "SQLite did not make the changes to a row: nothing of them was written",
            ),
        }
    }
}

impl std::error::Error for RowError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::OtherRecord { .. } | Self::NoRecord { .. } => None,
            Self::Sqlite(error) => Some(error),
        }
    }
}

impl From<Error> for RowError {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}
