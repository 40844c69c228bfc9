//! A key that anybody can make
//@ code: E0080
//@ error: evaluation panicked: the key of `Hub` is `Default`, and so anybody can speak for that system: a key is a struct with a private field, which its connector makes
//@ away: the error stands at the declaration
//@ twin: u8 => Key

use integration_automation_patterns::boundary;
use integration_automation_patterns::sync::System;
use ui::Crm;

pub struct Key(());

pub enum Hub {}

impl System for Hub {
    const NAME: &'static str = "hub";
    type Key = u8; //@ here
}

boundary! {
    pub mod lead between Crm and Hub {
        email: String => Crm,
    }
}

pub fn key() -> Key {
    Key(())
}
