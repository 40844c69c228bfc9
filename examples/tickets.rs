//! Tickets of a help desk become cases of another program: two typed events, one that
//! fails while its customer is unknown, and one that nobody can read.
//!
//! ```text
//! cargo run --example tickets --features sqlite,serde,signal
//! ```

use std::time::Duration;

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::{Classify, InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::{Filter, sqlite as outbox};
use integration_automation_patterns::relay::Relay;
use integration_automation_patterns::service::{Service, terminated};
use integration_automation_patterns::{Decision, Envelope, Event, RawEvent, RetryPolicy};
use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

type Outcome = Result<(), Box<dyn std::error::Error>>;
const TABLES: &str =
    "CREATE TABLE customer (name PRIMARY KEY); INSERT INTO customer VALUES ('Ada');
    CREATE TABLE cases (ticket, customer REFERENCES customer, open)";
const OPEN: &str = "INSERT INTO cases VALUES (?1, ?2, 1)";
const CLOSE: &str = "UPDATE cases SET open = 0 WHERE ticket = ?1";

#[derive(Serialize, Deserialize)]
struct Opened(String, String);
impl Event for Opened {
    const TYPE: &'static str = "desk.ticket.opened";
}

#[derive(Serialize, Deserialize)]
struct Resolved(String);
impl Event for Resolved {
    const TYPE: &'static str = "desk.ticket.resolved";
}

fn add<P: Event + Serialize + 'static>(to: &Transaction, key: &str, event: P) -> Outcome {
    let event = Envelope::builder("desk", event).ordering_key(key).build()?;
    Ok(outbox::enqueue(to, event.encode(serde_json::to_vec)?).map(drop)?)
}

#[tokio::main]
async fn main() -> Outcome {
    // The help desk: its events are committed with its tickets.
    let file = std::env::temp_dir().join(format!("tickets-{}.db", std::process::id()));
    let desk = outbox::Outbox::open(&file)?;
    let mut database = Connection::open(&file)?;
    let business = database.transaction()?;
    add(&business, "1", Opened("1".into(), "Ada".into()))?;
    add(&business, "2", Opened("2".into(), "Bob".into()))?;
    add(&business, "1", Resolved("1".into()))?;
    let poison = Envelope::builder("desk", RawEvent::new(Opened::TYPE, b"no json"));
    outbox::enqueue(&business, poison.build()?)?;
    business.commit()?;
    database.execute_batch(TABLES)?;

    // The cases: each is committed with the memory of its event.
    let handlers = inbox::handlers()
        .on::<Opened>()
        .effect(|tx, event| {
            let Opened(ticket, customer) = &event.payload;
            tx.execute(OPEN, [ticket, customer]).map(drop).permanent()
        })
        .on::<Resolved>()
        .effect(|tx, event| tx.execute(CLOSE, [event.payload.0]).map(drop).transient());
    let config = InboxConfig::new(Duration::from_secs(604_800), RetryPolicy::DEFAULT)?;
    let (broker, queue) = in_process(16); // or NATS, RabbitMQ, Kafka
    let relay = Relay::new("desk-1", desk, broker, Default::default())?;
    let worker = inbox::Worker::open(&file, config, queue, handlers, Default::default())?;
    let summary = Service::new()
        .part("relay", |stop| relay.run_until_idle(stop)) // `run`, where it is to stay
        .part("worker", |stop| worker.run_until_idle(stop))
        .run(terminated()?) // SIGTERM or ctrl-c: the parts end what they have begun
        .await?;
    println!("{summary}");

    // What failed is redriven by a person. One of the two cannot be helped.
    assert_eq!((worker.progress().processed, worker.progress().dead_lettered), (2, 2));
    database.execute_batch("INSERT INTO customer VALUES ('Bob')")?;
    for letter in inbox::dead_letters(&database, &Filter::default(), 10)? {
        let decision = Decision::new("on-call", "Bob is a customer now")?;
        println!("redriven: {:?}", worker.redrive(letter.event, decision).await?);
    }
    let open = "SELECT group_concat(ticket) FROM cases WHERE open";
    assert_eq!(database.query_row(open, [], |row| row.get::<_, String>(0))?, "2");
    Ok(std::fs::remove_file(&file)?)
}
