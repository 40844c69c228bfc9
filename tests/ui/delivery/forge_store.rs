//! Writing an outbox for another database outside the crate
//@ code: E0277
//@ error: `MySql` cannot be a store of a relay: only the outboxes of this crate keep what it relies on
//@ label: forward its events into an outbox of SQLite or PostgreSQL: the guide's chapter on drivers shows how
//@ twin: Store => Table

use integration_automation_patterns::outbox::Store;

pub struct MySql;

pub trait Table {}

impl Store for MySql {} //@ here

pub fn uses<T: Store>() {}
