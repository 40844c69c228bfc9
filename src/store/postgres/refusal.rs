//! What PostgreSQL refuses: of which kind it is, what it means here, and what to do about it.

use std::error::Error as StdError;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use crate::store::kind::StoreErrorKind;
use crate::store::migration::UNVERSIONED;

/// Which kind of refusal an error is, where its code says so.
pub(crate) fn kind(error: &Error) -> Option<StoreErrorKind> {
    use StoreErrorKind::{Busy, Denied, TransactionEnded, Unreachable, Unreadable};
    let Some(state) = error.code() else {
        if error.is_closed()
            || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
        {
            return Some(Unreachable);
        }
        // The driver's own kinds are private.
        return error
            .to_string()
            .starts_with("error deserializing column")
            .then_some(Unreadable);
    };
    match *state {
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => Some(Busy),
        SqlState::INSUFFICIENT_PRIVILEGE => Some(Denied),
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS => Some(Unreachable),
        _ => match state.code().get(..2)? {
            "08" => Some(Unreachable),
            "25" => Some(TransactionEnded),
            "28" => Some(Denied),
            // A deadlock, or a serialization failure.
            "40" => Some(Busy),
            _ => None,
        },
    }
}

/// What a refusal means, and what to do about it, where this crate knows more than
/// PostgreSQL says.
pub(crate) fn meaning(error: &Error) -> Option<&'static str> {
    let refusal = error.as_db_error()?;
    let ours = ["outbox_", "inbox_", "workflow_", "integration_schema"]
        .iter()
        .any(|name| refusal.message().contains(name));
    match refusal.code() {
        &SqlState::UNDEFINED_TABLE
        | &SqlState::UNDEFINED_FUNCTION
        | &SqlState::UNDEFINED_COLUMN
            if ours =>
        {
            Some("`install` makes the tables, in the first schema of the search path")
        }
        &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_FUNCTION if ours => {
            Some(UNVERSIONED)
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => Some(
            "what each role must be granted stands in the guide, in the chapter on operating",
        ),
        &SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::DUPLICATE_PSTATEMENT => Some(
            "a prepared statement belongs to its session: keep `Statements` for each connection of your own, and behind a \
             pooler give an outbox sessions of its own (pool_mode = session)",
        ),
        _ => None,
    }
}

/// Refuses a configuration that asks for TLS where there is none.
pub(crate) fn without_tls(config: &Config) -> Result<(), String> {
    match config.get_ssl_mode() {
        SslMode::Require => Err(
            "the configuration says sslmode=require, and this connects without TLS: use \
             `connect_tls`, of the feature `tls`"
                .into(),
        ),
        _ => Ok(()),
    }
}
