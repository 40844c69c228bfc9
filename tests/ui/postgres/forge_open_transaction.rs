//! Passing something else off as an open transaction of PostgreSQL
//@ code: E0277
//@ error: `AutoCommit` cannot be called an open transaction: only the driver's own are
//@ label: an event would be stored without the business change
//@ twin: OpenTransaction => Business

use integration_automation_patterns::outbox::postgres::OpenTransaction;

pub struct AutoCommit;

pub struct Mine;

pub trait Business<Via> {}

impl OpenTransaction<Mine> for AutoCommit {} //@ here

pub fn uses<T: OpenTransaction<Mine>>() {}
