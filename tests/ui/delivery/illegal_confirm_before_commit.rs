//! A message is confirmed to the broker before its effect is committed
//@ code: E0599
//@ error: no method named `confirm` found for struct `First<Tx, A>` in the current scope
//@ twin: first => committed

use integration_automation_patterns::broker::Answer;
use integration_automation_patterns::inbox::{Committed, First};

pub async fn answer<A: Answer>(first: First<rusqlite::Transaction<'_>, A>, committed: Committed<A>) {
    let _ = first.confirm().await; //@ here
}
