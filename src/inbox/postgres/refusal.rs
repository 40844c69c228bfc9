//! What a refusal of PostgreSQL means: a fault of the event, of the database, or a
//! transaction that has ended.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Whether PostgreSQL refuses what it would have refused of every event: another
/// transaction was in the way, or it has no room, or is shutting down, or is not there.
pub(in crate::inbox) fn is_of_the_database(error: &Error) -> bool {
    let Some(state) = error.code() else {
        return error.is_closed()
            || error.source().is_some_and(|cause| cause.is::<std::io::Error>());
    };
    match state.code().get(..2).unwrap_or_default() {
        "08" | "53" => true,
        "40" => *state != SqlState::T_R_INTEGRITY_CONSTRAINT_VIOLATION,
        "57" => *state != SqlState::QUERY_CANCELED,
        _ => [SqlState::LOCK_NOT_AVAILABLE, SqlState::SYSTEM_ERROR, SqlState::IO_ERROR]
            .contains(state),
    }
}

/// Whether a savepoint is not there because its transaction is not.
pub(super) fn is_ended(error: &Error) -> bool {
    let ended =
        [SqlState::NO_ACTIVE_SQL_TRANSACTION, SqlState::S_E_INVALID_SPECIFICATION];
    error.code().is_some_and(|state| ended.contains(state))
}
