//! Durable delivery: outbox, relay and inbox, on each database by the same tests.
#![cfg(any(feature = "sqlite", feature = "postgres"))]

#[macro_use]
mod suite;

mod admin;
mod aside;
mod broker;
#[path = "../support/chain.rs"]
mod chain;
#[cfg(feature = "sqlite")]
mod driver;
mod forestall;
#[cfg(feature = "sqlite")]
mod inbox;
mod naming;
mod outage;
mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
mod recall;
mod relay;
#[cfg(feature = "postgres")]
#[path = "../support/servers.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_file;
#[cfg(feature = "sqlite")]
mod sqlite_kinds;
#[cfg(feature = "sqlite")]
mod sqlite_load;
mod upgrade;
#[cfg(feature = "serde")]
mod worker;
