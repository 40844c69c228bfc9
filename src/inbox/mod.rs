//! The inbox: a delivered event has its effect once, in the transaction that remembers
//! it.
//!
//! The steps are types, and none can be left out:
//!
//! | step | takes | gives |
//! |---|---|---|
//! | `receive` | an open transaction and a [`Delivery`] | [`Receipt::New`] with the event, or what to settle |
//! | the handler | the [`Fresh`] event | its effect: writes in the same transaction |
//! | `commit` | the [`Fresh`] event | [`Committed`]: effect and memory, or neither |
//! | [`Committed::ack`] | the proof | the delivery is acked |
//!
//! A crash before the commit leaves nothing, and the event comes again; a crash after it
//! leaves an event that comes again as a duplicate, and has no second effect.
//!
//! `process` does all of it but the last step, which is [`Handled::settle`].
//!
//! # A consumer
//!
//! A worker (`inbox::sqlite::Worker`, `inbox::postgres::Worker`) runs typed handlers until
//! it is stopped: see the guide's chapter on [consuming](crate::guide::consuming). By
//! hand, a consumer is a loop until it is stopped. No error of the broker or of the database
//! ends it: nothing was stored, and the delivery that is dropped comes again. So no `?`
//! leaves the loop.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # mod consumer {
//! use integration_automation_patterns::broker::Consumer;
//! use integration_automation_patterns::inbox::{InboxConfig, sqlite};
//! use rusqlite::Connection;
//! use std::pin::pin;
//!
//! pub async fn consume(
//!     mut listener: impl Consumer,
//!     mut erp: Connection,
//!     config: &InboxConfig,
//!     stop: impl Future<Output = ()>,
//! ) {
//!     let mut stop = pin!(stop);
//!     loop {
//!         let next = tokio::select! {
//!             () = &mut stop => return,
//!             next = listener.next() => next,
//!         };
//!         let delivery = match next {
//!             Ok(Some(delivery)) => delivery,
//!             Ok(None) => return,
//!             Err(error) => {
//!                 eprintln!("{error}"); // the next call connects anew
//!                 continue;
//!             }
//!         };
//!         // SQLite blocks its thread: where that matters, do this in `spawn_blocking`.
//!         let handled = sqlite::process(&mut erp, delivery, config, |erp, event| {
//!             let lead = event.payload().bytes();
//!             erp.execute("INSERT INTO customer VALUES (?1)", [lead])?;
//!             Ok(())
//!         });
//!         let settled = match handled {
//!             Ok(handled) => handled.settle().await.map_err(|error| error.to_string()),
//!             Err(error) => Err(format!("{error:#}")),
//!         };
//!         if let Err(error) = settled {
//!             // The event comes again: as a duplicate, where its effect is stored.
//!             eprintln!("{error}");
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! # What is no fault of the event
//!
//! Where the database refuses what it would have refused of every event (a deadlock, a
//! serialization failure, a busy or full database, a lost connection), `process` returns
//! an error: nothing is stored, no attempt is spent, and the event comes again. It makes
//! no difference whether the database refuses a statement of the handler, the commit, or
//! a statement of the inbox. What it refuses of this event alone, at the commit too, is a
//! [`HandlerError`]: stored with its reason, and counted.
//!
//! The transaction is the inbox's to end. The inbox notices a handler that ends it by SQL
//! before it acks the delivery. What the handler had rolled back is a failure of it. What
//! it had committed stays: where the event was among it, `process` returns an error, and
//! the event comes again as a duplicate.
//!
//! # A handler that ends its process
//!
//! A handler that fails or panics is counted with its end. One that ends the process (it
//! aborts, or overflows the stack, or takes all memory) has no such end, and would come
//! again forever. So where the broker says that it [may have delivered the event
//! before](crate::broker::Delivery::is_redelivered), `process` first commits that an
//! attempt has begun: the event is kept as `retrying`, with the reason "the consumer
//! ended before its effect did", until that attempt ends, or is taken back as none. Where
//! no attempt of the [`InboxConfig`]'s policy is left, the event is a dead letter, and
//! its handler does not run. A first delivery costs nothing more, and counts only if its
//! handler ends: such an event has one attempt more than the policy says. Whatever else
//! that process was handling counts as well.
//!
//! `receive` leaves the transaction to its caller, and so can commit nothing before the
//! handler: there, a handler that ends its process is not counted.
//!
//! # What never comes again
//!
//! An event that waits for another attempt waits for its broker. What the broker has
//! dropped meanwhile (by a limit of deliveries, by age, in a purge) is listed by
//! `stalled`, and redriven or discarded as a dead letter is.
//!
//! # What is to have no effect any more
//!
//! An undo may overtake the event that it undoes, or come between two attempts of it.
//! `forestall` answers in the transaction of the undo whether the event was processed; if
//! it was not, it never will be: a delivery of it is [`Handled::Forestalled`]. What to do
//! about each answer stands at `Forestalled`.
//!
//! # Administration
//!
//! Each database has what people ask of an inbox, under the names of the outbox's
//! [`Admin`](crate::outbox::Admin): `counts`, `dead_letters`, `stalled` (for what is
//! `waiting` there), `held`, `unreadable`, `get`, `redrive`, `discard` and `purge`. They
//! are functions that take the consumer's own connection, in whose transaction a redriven
//! event is handled.
//!
//! Call `purge` from time to time: it removes what is older than the
//! [`dedup_window`](InboxConfig::dedup_window).
//!
//! [`Delivery`]: crate::broker::Delivery

#![doc(alias("idempotent consumer", "deduplication", "exactly-once"))]

mod admin;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod batch;
mod classify;
mod config;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod counting;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod entry;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod failing;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod forestall;
mod handler_error;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod intake;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod order;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
mod receipt;
mod reply;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod stored;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "sqlite"))))]
pub mod worker;

pub use self::admin::{Counts, Held, Remembered, Stalled, Unreadable};
pub use self::classify::{Classify, HandlerCause};
pub use self::config::InboxConfig;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "sqlite"))))]
pub use self::forestall::Forestalled;
pub use self::handler_error::HandlerError;
#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
pub(crate) use self::handler_error::is_of_the_database;
pub use self::receipt::{Committed, Fresh, Handled, Receipt, RetryLater};
#[doc(no_inline)]
pub use crate::ConfigError;
#[doc(no_inline)]
pub use crate::store::{DeadLetter, Filter, StoreError, StoreErrorKind};
