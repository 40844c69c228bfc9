//! The feature `tracing`: audit records as events, and operations as spans, of whatever
//! subscriber the program has.
#![cfg(feature = "tracing")]

mod events;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../support/servers.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod spans;
mod subscriber;
#[cfg(all(feature = "workflow", any(feature = "postgres", feature = "sqlite")))]
mod workflow;
