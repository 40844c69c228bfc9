//! Adding a step from another crate
//@ code: E0277
//@ error: a step from `processed` to `dispatched` cannot be added: the lifecycle's steps are fixed
//@ label: not a step of the lifecycle
//@ twin: Step => Jump

use integration_automation_patterns::state::{Dispatched, Processed, Program, Step};

pub trait Jump<To, By, Menu> {}

pub struct Menu;

impl Step<Dispatched, Program, Menu> for Processed {} //@ here
