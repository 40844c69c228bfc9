//! The example `order_to_cash`: it ends the same on every database and broker, people
//! answer it, and its account balances whenever its processes are killed.
//!
//! `CRASH_KILLS` sets the number of kills on each database, and `CRASH_ORDERS` the number
//! of orders meanwhile.
#![cfg(all(feature = "workflow", feature = "sqlite", feature = "testing", unix))]

mod account;
mod approve;
mod crash;
mod everywhere;
mod options;
mod place;
#[path = "../support/servers.rs"]
mod servers;
