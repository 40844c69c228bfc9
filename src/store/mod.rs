//! The floor of the databases, under outbox and inbox: rows, schema versions, errors and
//! connections, with one folder for each database.

mod dead_letter;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod doing;
pub(crate) mod error;
mod kind;
#[cfg(feature = "postgres")]
pub(crate) mod listing;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migration;
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "an insert alone needs only part of it")
)]
mod policy;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "an insert alone needs only part of it")
)]
mod row;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
mod text;

pub use self::dead_letter::{DeadLetter, Filter};
pub use self::error::StoreError;
pub use self::kind::StoreErrorKind;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::migration::Migration;
#[cfg(all(feature = "tracing", feature = "workflow"))]
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::row::read_tags;
#[cfg(feature = "sqlite")]
pub(crate) use self::row::{EVENT_COLUMN_COUNT, place};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::row::{EVENT_COLUMNS, LAST_DUE, write_tags};
pub(crate) use self::row::{Row, Said};
#[cfg(feature = "postgres")]
pub(crate) use self::schema::{CHECKING, INSTALLING};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::schema::{Part, Upkeep};
pub(crate) use self::text::storable;
