//! Workflows, on a store in memory: the laws of the saga hold for every instance.
#![cfg(feature = "workflow")]

#[path = "../../examples/support/orders.rs"]
#[allow(dead_code, missing_debug_implementations, unreachable_pub)]
mod orders;

mod follow;
mod matrix;
mod model;
mod moved;
mod people;
mod properties;
mod records;
mod reports;
mod shapes;
mod verbs;
#[allow(dead_code, unreachable_pub)]
mod version_two;
mod walk;
