//! Tickets of a help desk become cases of another program, in PostgreSQL and by RabbitMQ:
//! two typed events, one that fails while its customer is unknown, and one that nobody
//! can read. Both programs share a schema here, which is made anew. Whoever shares the
//! servers with others gives a name of their own to schema, exchange and queue.
//!
//! ```text
//! export POSTGRES="host=127.0.0.1 user=postgres" RABBITMQ=amqp://127.0.0.1
//! cargo run --example tickets_rabbitmq --features postgres,amqp,serde -- [NAME]
//! ```

use std::future::pending;
use std::time::Duration;

use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::inbox::{Classify, InboxConfig, postgres as inbox};
use integration_automation_patterns::outbox::{Filter, postgres as outbox};
use integration_automation_patterns::relay::Relay;
use integration_automation_patterns::{Decision, Envelope, Event, RawEvent, RetryPolicy};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Config, NoTls, Transaction};

type Outcome = Result<(), Box<dyn std::error::Error>>;
const TABLES: &str = "DROP SCHEMA IF EXISTS demo CASCADE;
    CREATE SCHEMA demo; SET search_path = demo;
    CREATE TABLE customer (name text PRIMARY KEY); INSERT INTO customer VALUES ('Ada');
    CREATE TABLE cases (ticket int, customer text REFERENCES customer)";

#[derive(Serialize, Deserialize)]
struct Opened {
    ticket: i32,
    customer: String,
}
impl Event for Opened {
    const TYPE: &'static str = "desk.ticket.opened";
}

#[derive(Serialize, Deserialize)]
struct Resolved(i32);
impl Event for Resolved {
    const TYPE: &'static str = "desk.ticket.resolved";
}

async fn add<E>(to: &Transaction<'_>, key: &str, event: E) -> Outcome
where
    E: Event + Serialize + 'static,
{
    let event = Envelope::builder("desk", event).ordering_key(key).build()?;
    outbox::enqueue(to, event.encode(serde_json::to_vec)?).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let name = std::env::args().nth(1).unwrap_or_else(|| "tickets_demo".to_owned());
    let broker = Amqp::new(&std::env::var("RABBITMQ")?, AmqpConfig::new(&*name))?;
    broker.create_queue(&name, &["desk.ticket.*"]).await?;
    let mut database: Config = std::env::var("POSTGRES")?.parse()?;
    let (mut client, connection) = database.connect(NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(&TABLES.replace("demo", &name)).await?;
    database.options(format!("-c search_path={name}"));

    // The help desk: its events are committed with its tickets.
    let desk = outbox::Outbox::connect(database.clone()).await?;
    let business = client.transaction().await?;
    add(&business, "1", Opened { ticket: 1, customer: "Ada".into() }).await?;
    add(&business, "2", Opened { ticket: 2, customer: "Bob".into() }).await?;
    add(&business, "1", Resolved(1)).await?;
    let poison = RawEvent::new(Opened::TYPE, "no json");
    outbox::enqueue(&business, Envelope::builder("desk", poison).build()?).await?;
    business.commit().await?;
    let relay = Relay::new("desk-1", desk, broker.clone(), Default::default())?;
    relay.run_until_idle(pending::<()>()).await;

    // The cases: each is committed with the memory of its event.
    let handlers = inbox::handlers()
        .on::<Opened>()
        .effect(async |cases, event| {
            let Opened { ticket, customer } = &event.payload;
            let sql = "INSERT INTO cases VALUES ($1, $2)";
            cases.execute(sql, &[ticket, customer]).await.permanent()?;
            Ok(())
        })
        .on::<Resolved>()
        .effect(async |cases, event| {
            let Resolved(ticket) = &event.payload;
            cases.execute("DELETE FROM cases WHERE ticket = $1", &[ticket]).await?;
            Ok(())
        });
    let config = InboxConfig::new(Duration::from_secs(7 * 86_400), RetryPolicy::DEFAULT)?;
    let queue = broker.listen(&name)?;
    let worker =
        inbox::Worker::connect(database, config, queue, handlers, Default::default());
    let worker = worker.await?;
    worker.run_until_idle(pending::<()>()).await;

    // What failed is redriven by a person. One of the two cannot be helped.
    client.batch_execute("INSERT INTO customer VALUES ('Bob')").await?;
    for letter in inbox::dead_letters(&client, &Filter::default(), 10).await? {
        let decision = Decision::new("on-call", "Bob is a customer now")?;
        println!("{:?}", letter.event.failure().map(|failure| &failure.reason));
        println!("redriven: {:?}", worker.redrive(letter.event, decision).await?);
    }
    let open = client.query_one("SELECT ticket FROM cases", &[]).await?;
    assert_eq!(open.get::<_, i32>(0), 2);
    Ok(())
}
