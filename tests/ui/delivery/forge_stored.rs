//! Calling a delivery stored, so that it can be acked before anything is
//@ code: E0117
//@ error: only traits defined in the current crate can be implemented for types defined outside of the crate
//@ twin: Delivery => Draft

use integration_automation_patterns::broker::{Delivery, Stored};

pub struct Mine;

pub struct Draft<A>(pub A);

pub fn of(_: Delivery<Mine>) {}

impl Stored for Delivery<Mine> {} //@ here
