//! Letting a program take a person's step
//@ code: E0277
//@ error: a step from `failed` to `pending` cannot be added: the lifecycle's steps are fixed
//@ label: not a step of the lifecycle
//@ twin: Step => Jump

use integration_automation_patterns::state::{Failed, Pending, Program, Step};

pub trait Jump<To, By, Menu> {}

pub struct Menu;

impl Step<Pending, Program, Menu> for Failed {} //@ here
