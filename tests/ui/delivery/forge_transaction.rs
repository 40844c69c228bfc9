//! Passing something else off as an open transaction
//@ code: E0277
//@ error: the trait bound `AutoCommit: integration_automation_patterns::outbox::sqlite::sealed::OpenTransaction` is not satisfied
//@ twin: OpenTransaction => Business

use integration_automation_patterns::outbox::sqlite::OpenTransaction;

pub struct AutoCommit;

pub trait Business {}

impl OpenTransaction for AutoCommit {} //@ here

pub fn uses<T: OpenTransaction>() {}
