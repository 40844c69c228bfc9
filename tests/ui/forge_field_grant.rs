//! A system's crate granting itself a field
//@ code: E0277
//@ twin: MayWrite => Grant
//@ error: `Mine` cannot grant itself what `Erp` may write
//@ label: only the declaration of its boundary says who may write a field

use integration_automation_patterns::sync::System;
use integration_automation_patterns::sync::declared::MayWrite;
use ui::{Erp, contact};

pub trait Grant<Owner, Field> {}

pub fn may_write<S: MayWrite<Erp, contact::field::billing_address>>() {}

pub enum Mine {}

impl System for Mine {
    const NAME: &'static str = "mine";
    type Key = Mine;
}

impl MayWrite<Erp, contact::field::billing_address> for Mine {} //@ here
