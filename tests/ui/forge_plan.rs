//! Making a plan of entries of one's own
//@ code: E0423
//@ error: cannot initialize a tuple struct which contains private fields
//@ twin: Plan => Draft

use ui::contact;

pub struct Draft<'a>(pub contact::Entries<'a>);
pub use contact::Plan;

pub fn make(entries: contact::Entries<'_>) {
    let _ = Plan(entries); //@ here
}
