//! The pools of tokio-postgres: outbox and inbox take what they give.

use std::time::Duration;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8;
use deadpool_postgres::{Manager, Pool};
use integration_automation_patterns::broker::{Ack, BrokerError, Delivery};
use integration_automation_patterns::inbox::{
    Handled, HandlerError, InboxConfig, Receipt,
};
use integration_automation_patterns::outbox::postgres::{enqueue, enqueue_all};
use integration_automation_patterns::outbox::{Admin, Enqueued, Filter};
use integration_automation_patterns::{Decision, RetryPolicy, inbox};
use tokio_postgres::{Client, NoTls};

use crate::{Postgres, fresh};

struct Silent;

impl Ack for Silent {
    async fn ack(self) -> Result<(), BrokerError> {
        Ok(())
    }
    async fn nack(self, _after: Duration) -> Result<(), BrokerError> {
        Ok(())
    }
}

fn config() -> InboxConfig {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap()
}

/// All that an inbox does, on a connection of any pool: an effect, a duplicate, a dead
/// letter and its redrive.
async fn receive_and_redrive(client: &mut Client) {
    inbox::postgres::install(client).await.unwrap();
    let delivery = || Delivery::new(fresh("1"), Silent);
    let transaction = client.transaction().await.unwrap();
    let received = inbox::postgres::receive(transaction, delivery(), &config()).await;
    let Receipt::New(fresh_event) = received.unwrap() else { panic!("it is new") };
    fresh_event.commit().await.unwrap().ack().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let again = inbox::postgres::receive(transaction, delivery(), &config()).await;
    assert!(matches!(again.unwrap(), Receipt::Duplicate(_)));

    let (poison, once) = (Delivery::new(fresh("2"), Silent), config());
    let handled = inbox::postgres::process(client, poison, &once, async |_, _| {
        Err(HandlerError::permanent("no such account"))
    });
    assert!(matches!(handled.await.unwrap(), Handled::DeadLettered(_)));
    let dead = inbox::postgres::dead_letters(client, &Filter::default(), 10).await;
    let dead = dead.unwrap();
    let decision = Decision::new("on-call", "the account exists now").unwrap();
    let transaction = client.transaction().await.unwrap();
    let event = &dead.first().unwrap().event;
    let redriven =
        inbox::postgres::redrive(transaction, event, decision, &config()).await;
    let redriven = redriven.unwrap().expect("it is there");
    redriven.commit().await.map(drop).unwrap();
}

#[tokio::test]
async fn deadpool() {
    let database = Postgres::fresh().await;
    let manager = Manager::new(database.config.clone(), NoTls);
    let pool = Pool::builder(manager).max_size(1).build().unwrap();
    let mut client = pool.get().await.unwrap();
    let business = client.transaction().await.unwrap();
    assert_eq!(enqueue(&business, fresh("1")).await.unwrap(), Enqueued::New);
    let all = enqueue_all(&business, vec![fresh("1"), fresh("2")]).await.unwrap();
    assert_eq!(all, [Enqueued::Duplicate, Enqueued::New]);
    business.commit().await.unwrap();
    let business = client.transaction().await.unwrap();
    enqueue(&business, fresh("rolled back")).await.unwrap();
    drop(business);
    assert_eq!(database.outbox.counts().await.unwrap().total(), 2);
    receive_and_redrive(&mut client).await;
    // One transaction, by the client that the pool's derefs to.
    let transaction = Client::transaction(&mut client).await.unwrap();
    let delivery = Delivery::new(fresh("3"), Silent);
    let received = inbox::postgres::receive(transaction, delivery, &config()).await;
    assert!(matches!(received.unwrap(), Receipt::New(_)));
    drop(client);
    pool.close();
    database.end().await;
}

#[tokio::test]
async fn bb8() {
    let database = Postgres::fresh().await;
    let manager = PostgresConnectionManager::new(database.config.clone(), NoTls);
    let pool = bb8::Pool::builder().max_size(1).build(manager).await.unwrap();
    let mut client = pool.get().await.unwrap();
    let business = client.transaction().await.unwrap();
    assert_eq!(enqueue(&business, fresh("1")).await.unwrap(), Enqueued::New);
    business.commit().await.unwrap();
    assert_eq!(database.outbox.counts().await.unwrap().total(), 1);
    receive_and_redrive(&mut client).await;
    drop(client);
    database.end().await;
}
