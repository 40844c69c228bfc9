//! What SQLite refuses, with what it means here and what to do about it.

use std::fmt;
use std::time::Duration;

use rusqlite::{Error, ErrorCode};

use crate::outbox::StoreError;

/// A refusal of the database, in words.
pub(crate) fn fault(doing: &'static str, error: Error) -> StoreError {
    fault_after(doing, error, None)
}

/// The same, where calls before this one have found the database locked for so long already.
pub(super) fn fault_after(doing: &'static str, error: Error, locked: Option<Duration>) -> StoreError {
    match meaning(&error, locked) {
        Some(meaning) => StoreError::new(doing, Explained { meaning, cause: error }),
        None => StoreError::new(doing, error),
    }
}

/// Whether another connection's lock was in the way.
pub(super) fn is_locked(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn meaning(error: &Error, locked: Option<Duration>) -> Option<String> {
    if is_locked(error) {
        return Some(match locked {
            Some(locked) => format!("database is locked by another program, for {} s by now", locked.as_secs().max(1)),
            None => "database is locked by another program".to_owned(),
        });
    }
    let meaning = match error.sqlite_error_code()? {
        ErrorCode::ReadOnly => {
            "this program may only read the file: give it write permission for the file and its folder, or open it to look"
        }
        ErrorCode::NotADatabase => "the file is no SQLite database, or is encrypted: is it the right path?",
        ErrorCode::CannotOpen => {
            "the path cannot be opened: it must be a file, or there must be a folder to make one in, that this program may read \
             and write"
        }
        ErrorCode::DiskFull => "there is no room left on the disk, or in the size that the file may have",
        ErrorCode::DatabaseCorrupt => "the file is damaged: stop what uses it, and restore it from a backup",
        _ if is_without_tables(&error.to_string()) => "the tables are not in this database: `install` makes them",
        _ => return None,
    };
    Some(meaning.to_owned())
}

/// Whether it is a table of this crate's that is missing, and not one of the caller's.
fn is_without_tables(text: &str) -> bool {
    ["outbox_event", "outbox_history", "inbox_event", "integration_schema"].iter().any(|table| {
        text.strip_prefix("no such table: ").is_some_and(|rest| rest.trim_start_matches("main.").starts_with(table))
    })
}

#[derive(Debug)]
struct Explained {
    meaning: String,
    cause: Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.meaning)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
