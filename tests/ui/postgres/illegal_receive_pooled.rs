//! Receiving an event in the transaction of a pool, which the inbox cannot commit
//@ code: E0277
//@ error: the inbox commits this transaction, and so takes one of tokio-postgres itself: `Wrapped<'_>` is none
//@ label: needs `Client::transaction(&mut client).await?`, of `tokio_postgres::Client`
//@ note: a pool's client derefs to that client: the guide has a chapter on drivers
//@ twin: pooled => transaction

use std::ops::Deref;

use integration_automation_patterns::broker::Delivery;
use integration_automation_patterns::inbox::InboxConfig;
use integration_automation_patterns::inbox::postgres::receive;
use tokio_postgres::Transaction;

/// As deadpool has it.
pub struct Wrapped<'a>(pub Transaction<'a>);

impl<'a> Deref for Wrapped<'a> {
    type Target = Transaction<'a>;
    fn deref(&self) -> &Transaction<'a> {
        &self.0
    }
}

pub async fn consume(
    pooled: Wrapped<'_>,
    transaction: Transaction<'_>,
    delivery: Delivery<()>,
    config: &InboxConfig,
) {
    let _ = receive(pooled, delivery, config).await; //@ here
}
