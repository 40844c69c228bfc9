//! Deciding from the seat of what is no role
//@ code: E0277
//@ error: `Order` is not a role that people decide in
//@ label: needs `impl Role for Order` with its NAME and the Key that the login keeps
//@ away: the error stands where it is decided
//@ twin: Order => Sales

use integration_automation_patterns::workflow::Seat;
use ui::orders::{Order, Sales};

pub type Mine = Seat<Order>; //@ here

pub fn rule(seat: &Mine, _: (Order, Sales)) {
    let _ = seat.decide("it is mine");
}
