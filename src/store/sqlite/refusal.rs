//! What SQLite refuses: of which kind it is, what it means here, and what to do about it.

use rusqlite::{Error, ErrorCode};

use crate::store::kind::StoreErrorKind;
use crate::store::migration::UNVERSIONED;

/// Which kind of refusal an error is, where its code says so.
pub(crate) fn kind(error: &Error) -> Option<StoreErrorKind> {
    use StoreErrorKind::{Busy, Denied, Unreachable, Unreadable};
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..) => return Some(Unreadable),
        _ => {}
    }
    match error.sqlite_error_code()? {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OperationInterrupted => Some(Busy),
        ErrorCode::CannotOpen => Some(Unreachable),
        ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly => Some(Denied),
        _ => None,
    }
}

/// Whether SQLite refuses what it would have refused of every event: it is locked, or has
/// no room, or its disk fails.
pub(crate) fn is_of_the_database(error: &Error) -> bool {
    use ErrorCode::{DiskFull, FileLockingProtocolFailed, OutOfMemory, SystemIoFailure};
    let refused = [DiskFull, FileLockingProtocolFailed, OutOfMemory, SystemIoFailure];
    is_locked(error)
        || error.sqlite_error_code().is_some_and(|code| refused.contains(&code))
}

/// Whether another connection's lock was in the way.
fn is_locked(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// What a refusal means, where this crate knows more than SQLite says.
pub(crate) fn meaning(error: &Error) -> Option<&'static str> {
    let text = error.to_string();
    if is_unversioned(&text) {
        return Some(UNVERSIONED);
    }
    let meaning = match error.sqlite_error_code()? {
        _ if is_locked(error) => "database is locked by another program",
        ErrorCode::ReadOnly => {
            "this program may only read the file: give it write permission for the file, its folder, and the `-wal` and `-shm` \
             beside it (another user may have made those), or use `open_read_only`"
        }
        ErrorCode::NotADatabase => {
            "the file is no SQLite database, or is encrypted: is it the right path?"
        }
        ErrorCode::CannotOpen => {
            "the path cannot be opened: it must be a file, or there must be a folder to make one in, that this program may read \
             and write"
        }
        ErrorCode::DiskFull => {
            "there is no room left on the disk, or in the size that the file may have"
        }
        ErrorCode::DatabaseCorrupt => {
            "the file is damaged: stop what uses it, and restore it from a backup"
        }
        _ if is_without_tables(&text) => {
            "the tables are not in this database: `install` makes them"
        }
        _ => return None,
    };
    Some(meaning)
}

/// Whether a table of this crate's is there already, where it was to be made.
fn is_unversioned(text: &str) -> bool {
    ["outbox_", "inbox_", "workflow_"].iter().any(|table| {
        text.strip_prefix("table ").is_some_and(|rest| {
            rest.starts_with(table) && rest.contains(" already exists")
        })
    })
}

/// Whether it is a table of this crate's that is missing, and not one of the caller's.
fn is_without_tables(text: &str) -> bool {
    const OURS: [&str; 9] = [
        "outbox_event",
        "outbox_history",
        "outbox_chain",
        "inbox_event",
        "integration_schema",
        "workflow_instance",
        "workflow_vote",
        "workflow_clearance",
        "workflow_journal",
    ];
    OURS.iter().any(|table| {
        text.strip_prefix("no such table: ")
            .is_some_and(|rest| rest.trim_start_matches("main.").starts_with(table))
    })
}
