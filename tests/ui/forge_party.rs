//! A system's crate making itself a party
//@ code: E0277
//@ error: `Mine` cannot make itself a party to a boundary
//@ label: only the declaration of the boundary names its parties
//@ twin: Includes => Party

use integration_automation_patterns::sync::System;
use integration_automation_patterns::sync::declared::{Here, Includes};
use ui::{Crm, Erp};

pub trait Party<S, At> {
    const PLACE: usize;
}

pub fn party<S, At, P: Includes<S, At>>() {}

pub enum Mine {}

impl System for Mine {
    const NAME: &'static str = "mine";
    type Key = Mine;
}

impl Includes<Mine, Here> for (Crm, (Erp, ())) { //@ here
    const PLACE: usize = 0;
}
