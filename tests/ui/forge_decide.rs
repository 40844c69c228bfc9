//! A program deciding in a person's place
//@ code: E0277
//@ error: `Mine` cannot decide in a person's place
//@ label: only an answer to a plan's question does
//@ twin: MayDecide => Decides

use integration_automation_patterns::sync::declared::MayDecide;
use ui::contact;

pub trait Decides<Field> {}

pub fn decides<S: MayDecide<contact::field::status>>() {}

pub enum Mine {}

impl MayDecide<contact::field::status> for Mine {} //@ here
