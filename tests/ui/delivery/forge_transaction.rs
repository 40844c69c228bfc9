//! Passing something else off as an open transaction
//@ code: E0277
//@ error: `AutoCommit` cannot be called an open transaction: only the driver's own are
//@ label: an event would be stored without the business change
//@ twin: OpenTransaction => Business

use integration_automation_patterns::outbox::sqlite::OpenTransaction;

pub struct AutoCommit;

pub trait Business {}

impl OpenTransaction for AutoCommit {} //@ here

pub fn uses<T: OpenTransaction>() {}
