//! The inbox: a delivered event has its effect once, in the transaction that remembers
//! it.
//!
//! The steps are types, and none can be left out:
//!
//! | step | takes | gives |
//! |---|---|---|
//! | `receive` | the caller's open transaction and a [`Delivery`](crate::broker::Delivery) | [`Receipt::New`] with the event, or that it is a duplicate |
//! | the effect | the [`Fresh`] | writes in its transaction |
//! | `commit` | the [`Fresh`] | [`Committed`]: effect and memory are stored, or neither is |
//! | [`Committed::ack`] | the proof | tells the broker |
//!
//! A crash before the commit leaves nothing, and the event comes again; one after it
//! leaves a duplicate, which is told from the first.
//!
//! A consumer is a loop until it is told to stop. An error of the broker or of the
//! database is no end of it: no effect was stored, and the delivery that is dropped comes
//! again. So neither leaves the loop by a `?`.
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
//!         let handled = sqlite::process(&mut erp, delivery, config, |transaction, event| {
//!             transaction.execute("INSERT INTO customer VALUES (?1)", [event.payload().bytes()])?;
//!             Ok(())
//!         });
//!         let told = match handled {
//!             Ok(handled) => handled.settle().await.map_err(|error| error.to_string()),
//!             Err(error) => Err(error.to_string()),
//!         };
//!         if let Err(error) = told {
//!             eprintln!("{error}"); // the event comes again: as a duplicate, where its effect is stored
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! # What is no fault of the event
//!
//! Where the database refuses what it would have refused of every event (a deadlock, a
//! serialization failure, a busy or full database, a lost connection), `process` answers
//! with an error: nothing is stored, no attempt is spent, and the event comes again. It
//! makes no difference whether it refuses a statement of the effect, the commit, or a
//! statement of the inbox. What it refuses of this effect alone, at the commit too, is a
//! [`HandlerError`]: stored with its reason, and counted.
//!
//! The transaction is the inbox's to end. An effect that ends it by SQL is found out
//! before the broker is told. What it had rolled back is a fault. What it had committed
//! stays: where the event was among it, `process` answers with an error, and the event
//! comes again as a duplicate.
//!
//! # An effect that ends its process
//!
//! An effect that fails or panics is counted with its end. One that ends the process (it
//! aborts, or overflows the stack, or takes all memory) has no such end, and would come
//! again for ever. So where the broker says that it [may have delivered the event
//! before](crate::broker::Delivery::is_redelivered), `process` first commits that an
//! attempt has begun: the event is kept as `retrying`, with the reason "the consumer
//! ended before its effect did", until that attempt ends, or is taken back as none. Where
//! no attempt of the [`InboxConfig`]' policy is left, the event is a dead letter, and its
//! effect is not tried. A first delivery costs nothing more, and is not counted unless
//! its effect ends: such an event has its effect tried once more than the policy says.
//! What else was in its effect in that process is counted as well.
//!
//! `receive` leaves the transaction to its caller, and so can commit nothing before the
//! effect: there, an effect that ends its process is not counted.
//!
//! # What never comes again
//!
//! An event that waits for another attempt waits for its broker. What that has dropped
//! meanwhile (by a limit of deliveries, by age, in a purge) is found by `stalled`, and
//! redriven or discarded as a dead letter is.
//!
//! From time to time, `purge` removes what is older than the window of the
//! [`InboxConfig`].

#![doc(alias("idempotent consumer", "deduplication", "exactly-once"))]

mod admin;
mod config;
mod handler_error;
mod intake;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
mod receipt;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;

pub use self::admin::{Counts, Stalled};
pub use self::config::InboxConfig;
pub use self::handler_error::HandlerError;
pub use self::receipt::{Committed, Fresh, Handled, Receipt, RetryLater};
#[doc(no_inline)]
pub use crate::ConfigError;
