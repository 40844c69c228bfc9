//! Forgetting a stage of the old version
//@ code: E0004
//@ error: non-exhaustive patterns: `order_to_cash::Any::Undoing(_)` not covered
//@ twin: + Any::Undoing(_) => "a person",

mod table;


use table::order_to_cash::Any;


pub fn follow(old: Any) -> &'static str {
    match old { //@ here
        Any::Awaiting(_) | Any::Forestalling(_) | Any::Parked(_) => "a person",
        Any::Stuck(_) => "a person",
        Any::Completed(_) | Any::Undone(_) | Any::GivenUp(_) => "as it is",
    }
}
