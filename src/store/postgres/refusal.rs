//! What to do about what PostgreSQL refuses, in words.

use std::error::Error as StdError;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use super::BoxedError;

/// What to do about an error of the database, where this crate knows it.
pub(crate) fn hint(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let refusal = error.downcast_ref::<Error>()?.as_db_error()?;
    let ours = ["outbox_", "inbox_", "integration_schema"]
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
        &SqlState::INSUFFICIENT_PRIVILEGE => Some(
            "what each role must be granted stands in the guide, in the chapter on operating",
        ),
        &SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::DUPLICATE_PSTATEMENT => Some(
            "a pooler gives each transaction another session: an outbox needs one of its own, pool_mode = session",
        ),
        _ => None,
    }
}

/// Refuses a configuration that asks for TLS where there is none.
pub(crate) fn without_tls(config: &Config) -> Result<(), BoxedError> {
    match config.get_ssl_mode() {
        SslMode::Require => Err(
            "the configuration says sslmode=require, and this connects without TLS: use \
             `Outbox::connect_tls`, of the feature `tls`"
                .into(),
        ),
        _ => Ok(()),
    }
}
