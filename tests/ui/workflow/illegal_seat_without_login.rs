//! Sitting down without a login
//@ code: E0308
//@ error: mismatched types
//@ twin: key => login

mod table;

use integration_automation_patterns::workflow::Seat;

use ui::orders::{Controller, login};

pub fn sneak(key: &(), login: &login::Key) {
    let _ = (key, login);
    let _ = Seat::<Controller>::mint(key, "anna"); //@ here
}
