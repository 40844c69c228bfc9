//! What outbox and inbox share in PostgreSQL: where their tables are, connections that
//! come back, notifications of what was enqueued, and the columns of an event.

mod clients;
mod connector;
mod link;
mod moment;
mod notifications;
mod pool;
mod pooler;
pub(super) mod refusal;
mod row;
mod statements;
mod tables;

pub(crate) use self::clients::Clients;
pub(crate) use self::connector::Connector;
#[cfg(feature = "tls")]
pub(crate) use self::connector::{connect, secured};
pub(crate) use self::link::{Link, Value};
pub(crate) use self::moment::{at, maybe_at, micros};
pub(crate) use self::notifications::Notifications;
pub(crate) use self::pool::{Pool, within};
pub(crate) use self::refusal::without_tls;
pub(crate) use self::row::{at_most, read_row};
pub use self::statements::{Session, Statements};
#[cfg(feature = "workflow")]
pub(crate) use self::tables::prepare;
pub(crate) use self::tables::{check, install};
