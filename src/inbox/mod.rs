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
//! A worker (`inbox::sqlite::Worker`, `inbox::postgres::Worker`) runs typed handlers
//! until it is stopped: see the guide's chapter on [consuming](crate::guide::consuming).
//! Written by hand, a consumer is a loop that no error of the broker or the database
//! ends: nothing was stored, and the dropped delivery comes again. So use no `?` in it.
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
//! If the database refuses what it would refuse of any event (a deadlock, a serialization
//! failure, a busy or full database, a lost connection), `process` returns an error:
//! nothing is stored, no attempt is spent, and the event comes again. This holds for
//! statements of the handler, for the commit, and for statements of the inbox. If the
//! database refuses this event alone, even at the commit, that is a [`HandlerError`]:
//! stored with its reason, and counted.
//!
//! Only the inbox may end the transaction. If a handler ends it by SQL, the inbox notices
//! before it acks the delivery. A handler that rolled back has failed. What a handler
//! committed stays: if it committed the event too, `process` returns an error, and the
//! event comes again as a duplicate.
//!
//! # A handler that ends its process
//!
//! A handler that fails or panics counts as an attempt when it ends. A handler that ends
//! the process (by an abort, a stack overflow, or by taking all memory) would never
//! count, and its event would come again forever. So if the broker [may have delivered
//! the event before](crate::broker::Delivery::is_redelivered), `process` first commits
//! that an attempt has begun. Until the attempt ends, or is taken back, the event is
//! `retrying` with the reason "the consumer ended before its effect did". If the policy
//! of the [`InboxConfig`] leaves no attempt, the event becomes a dead letter, and its
//! handler does not run.
//!
//! A first delivery needs no such commit, and counts only if its handler ends: an event
//! whose handler ends the process gets one attempt more than the policy says. The other
//! events that the process was handling alone count as well.
//!
//! A worker counts the attempts of many events in one commit, and handles them in one
//! transaction. If the process ends in it, each of them is handled alone when it comes
//! again. For an event whose process ends once more, both attempts count; for any other,
//! the shared one does not.
//!
//! `receive` leaves the transaction to its caller, and so cannot commit anything before
//! the handler: a handler that ends its process does not count there.
//!
//! # What never comes again
//!
//! An event that waits for another attempt waits for its broker. If the broker has
//! dropped it (by a limit of deliveries, by age, in a purge), `stalled` lists it, and a
//! person redrives or discards it like a dead letter.
//!
//! # What is to have no effect any more
//!
//! An undo may overtake the event that it undoes, or come between two attempts of it. In
//! the transaction of the undo, `forestall` returns whether the event was processed, and
//! keeps it from being processed if it was not: a later delivery is
//! [`Handled::Forestalled`]. `Forestalled` says what to do about each answer.
//!
//! # Administration
//!
//! Each database has the functions of administration under the names of the outbox's
//! [`Admin`](crate::outbox::Admin): `counts`, `dead_letters`, `stalled` (instead of
//! `waiting`), `held`, `unreadable`, `get`, `redrive`, `discard` and `purge`. They take
//! the consumer's own connection, in whose transaction a redriven event is handled.
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
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sharing;
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
