//! Calling a type without `Eq` the value of a field
//@ code: E0277
//@ error: `Dollars` cannot be called a field's value: whether it has `Eq` decides that
//@ label: needs `#[derive(Clone, PartialEq, Eq)]`, and nothing else
//@ twin: -

use integration_automation_patterns::sync::declared::FieldValue;

#[derive(Clone, PartialEq)]
pub struct Dollars(pub f64);

pub fn is_value<T: FieldValue>() {}

impl FieldValue for Dollars {} //@ here
