//! Settling a send without saying what came of it
//@ code: E0308
//@ error: mismatched types
//@ twin: claim => settlement

use integration_automation_patterns::outbox::{Claim, Settlement, Store, sqlite};

pub async fn settle(outbox: sqlite::Outbox, claim: [Claim; 1], settlement: [Settlement; 1]) {
    let _ = outbox.settle(&claim).await; //@ here
}
