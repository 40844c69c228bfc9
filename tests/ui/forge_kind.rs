//! Adding a kind of field that a plan writes without a person
//@ code: E0277
//@ error: `Mine` is no kind of field: a field is owned, shared or decided by a person
//@ label: only the declaration says which
//@ twin: Kind => Rule

use integration_automation_patterns::sync::declared::Kind;

pub trait Rule {}

pub fn kind<K: Kind>() {}

pub enum Mine {}

impl Kind for Mine {} //@ here
