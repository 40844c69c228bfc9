//! Workflows in a database: on each by the same tests.
#![cfg(all(
    feature = "workflow",
    feature = "testing",
    any(feature = "sqlite", feature = "postgres")
))]

#[macro_use]
mod suite;

#[path = "../support/chain.rs"]
mod chain;
mod deadlines;
#[macro_use]
mod desk;
#[cfg(feature = "sqlite")]
mod follow;
mod lives;
mod no_data;
#[path = "../../examples/support/orders.rs"]
#[allow(dead_code, missing_debug_implementations, unreachable_pub)]
mod orders;
mod people;
#[cfg(feature = "postgres")]
mod postgres;
mod races;
mod reports;
#[cfg(feature = "postgres")]
mod roles;
#[cfg(feature = "postgres")]
#[path = "../support/servers.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
mod steps;
mod trail;
mod verify;
#[cfg(feature = "sqlite")]
#[path = "../workflow/version_two.rs"]
#[allow(dead_code, unreachable_pub)]
mod version_two;
#[cfg(feature = "sqlite")]
#[path = "../workflow/walk.rs"]
mod walk;
