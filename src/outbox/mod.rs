//! The outbox: events that wait for a relay, in the database of the business transaction
//! that wrote them.
//!
//! An event is enqueued in the caller's open transaction, so that it is there if and only
//! if the business change is. A [`Relay`](crate::relay::Relay) claims due events under a
//! lease, sends them, and settles the outcome of each. Every write after the claim
//! carries the claim's token: a relay that was too slow gets [`LeaseLostError`] and
//! changes nothing.
//!
//! | who | calls | and the row goes |
//! |---|---|---|
//! | the business transaction | `enqueue` | to `pending` |
//! | the relay | [`Store::claim`] | to `dispatched`: the attempt is counted before the send |
//! | the relay | [`Store::settle`] | to `acknowledged`, `retrying`, `failed` or `skipped` |
//! | the relay, when it has not sent | [`Store::settle`] with [`Claim::release`] | to where it was; the attempt is not counted |
//! | any relay, when a lease has ended | [`Store::claim`] | to `retrying` or `failed`: the attempt failed |
//! | a person | [`Admin::redrive`], [`Admin::discard`] | to `pending`, `skipped` |
//! | another business transaction | `recall` | to `skipped`, unless a relay has claimed it |
//!
//! The database's clock decides what is due and when a lease ends. In PostgreSQL this is
//! the server's clock, so those of producers and relays may be wrong by hours. In SQLite
//! it is the clock of the machine that holds the file. The guide says what happens when
//! [that clock is set](crate::guide::operating#clocks).

#![doc(alias("transactional outbox", "at-least-once"))]

mod admin;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod blocked;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) mod chain;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod change;
mod claim;
pub mod driver;
mod encoded;
mod enqueued;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod history;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod recall;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod sqlite;
mod store;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod watermark;

use static_assertions::{assert_impl_all, assert_not_impl_any};

pub use self::admin::{
    Admin, Counts, EventHistory, Finding, HistoryEntry, Redrive, RedriveError,
    RedriveOutcome, Waiting,
};
pub use self::claim::{Claim, HeldLease, LeaseLostError, Settlement};
pub use self::encoded::Encoded;
pub use self::enqueued::{Enqueued, Enqueuing};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "postgres", feature = "sqlite"))))]
pub use self::recall::Recalled;
pub(crate) use self::store::sealed;
pub use self::store::{ClaimOrder, Claimed, OnDeadLetter, Store};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use crate::store::Migration;
pub use crate::store::{DeadLetter, Filter, StoreError, StoreErrorKind};

assert_impl_all!(Claim: Send, Sync);
assert_not_impl_any!(Claim: Clone);
assert_not_impl_any!(Settlement: Clone);
