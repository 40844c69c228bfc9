//! What outbox and inbox share in PostgreSQL: where their tables are, connections that
//! come back, a bell that rings when something was enqueued, and the columns of an event.

mod connector;
mod link;
mod moment;
mod notifications;
mod pool;
mod pooler;
mod refusal;
mod row;
mod tables;

use std::time::Duration;

pub(crate) use self::connector::Connector;
#[cfg(feature = "tls")]
pub(crate) use self::connector::{connect, secured};
pub(crate) use self::link::{Link, Value};
pub(crate) use self::moment::{at, maybe_at};
pub(crate) use self::notifications::Notifications;
pub(crate) use self::pool::Pool;
pub(crate) use self::refusal::{hint, kind, without_tls};
pub(crate) use self::row::read_row;
pub(crate) use self::tables::install;

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A span of time as the statements take it: in microseconds, and no longer than a
/// century, which PostgreSQL can add.
pub(crate) fn micros(span: Duration) -> i64 {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(span.as_micros()).unwrap_or(CENTURY).min(CENTURY)
}

/// A limit, as a statement takes it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
