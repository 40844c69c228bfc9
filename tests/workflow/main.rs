//! Workflows, on a store in memory: the laws of the saga hold for every instance.
#![cfg(feature = "workflow")]

#[path = "../../examples/support/orders.rs"]
#[allow(dead_code, missing_debug_implementations, unreachable_pub)]
mod orders;

mod model;
mod people;
mod records;
mod shapes;
mod verbs;
