//! Settling in a program what a person must decide
//@ code: E0277
//@ error: `Crm` may not write `status`: only a person decides on it
//@ label: no edit writes it: a person's `Answer` to the question of a plan does
//@ twin: status => nickname

use ui::{Crm, contact};

pub fn settle(by_crm: contact::Edit<Crm>) {
    let _ = by_crm.status(None); //@ here
}
