//! Tickets of a help desk become cases of another program: two typed events, one that
//! fails while its customer is unknown, and one that nobody can read.
//!
//! ```text
//! cargo run --example tickets --features sqlite,serde
//! ```

use std::time::Duration;

use integration_automation_patterns::broker::in_process;
use integration_automation_patterns::inbox::{Classify, InboxConfig, sqlite as inbox};
use integration_automation_patterns::outbox::{Filter, sqlite as outbox};
use integration_automation_patterns::relay::Relay;
use integration_automation_patterns::{Decision, Envelope, Event, RawEvent, RetryPolicy};
use rusqlite::{Connection, Transaction};
use serde::{Deserialize, Serialize};

type Outcome = Result<(), Box<dyn std::error::Error>>;
const TABLES: &str = "CREATE TABLE cases (ticket, customer REFERENCES customer);
    CREATE TABLE customer (name PRIMARY KEY); INSERT INTO customer VALUES ('Ada')";

#[derive(Serialize, Deserialize)]
struct Opened {
    ticket: u32,
    customer: String,
}
impl Event for Opened {
    const TYPE: &'static str = "desk.ticket.opened";
}

#[derive(Serialize, Deserialize)]
struct Resolved(u32);
impl Event for Resolved {
    const TYPE: &'static str = "desk.ticket.resolved";
}

fn add<E: Event + Serialize + 'static>(to: &Transaction, key: &str, event: E) -> Outcome {
    let event = Envelope::builder("desk", event).ordering_key(key).build()?;
    outbox::enqueue(to, event.encode(serde_json::to_vec)?)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    // The help desk: its events are committed with its tickets.
    let file = std::env::temp_dir().join(format!("tickets-{}.db", std::process::id()));
    let desk = outbox::Outbox::open(&file)?;
    let mut database = Connection::open(&file)?;
    let business = database.transaction()?;
    add(&business, "1", Opened { ticket: 1, customer: "Ada".into() })?;
    add(&business, "2", Opened { ticket: 2, customer: "Bob".into() })?;
    add(&business, "1", Resolved(1))?;
    let poison = RawEvent::new(Opened::TYPE, "no json");
    outbox::enqueue(&business, Envelope::builder("desk", poison).build()?)?;
    business.commit()?;

    // The cases: each is committed with the memory of its event.
    database.execute_batch(TABLES)?;
    let handlers = inbox::handlers()
        .on::<Opened>()
        .effect(|cases, event| {
            let case = (event.payload.ticket, &event.payload.customer);
            cases.execute("INSERT INTO cases VALUES (?1, ?2)", case).permanent()?;
            Ok(())
        })
        .on::<Resolved>()
        .effect(|cases, event| {
            cases.execute("DELETE FROM cases WHERE ticket = ?1", [event.payload.0])?;
            Ok(())
        });
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let config = InboxConfig::new(week, RetryPolicy::DEFAULT)?;
    let (broker, queue) = in_process(16);
    let relay = Relay::new("desk-1", desk, broker, Default::default())?;
    let worker = inbox::Worker::open(&file, config, queue, handlers, Default::default())?;
    // Each send is confirmed once it is handled: where the relay is idle, all is.
    worker.run(relay.run_until_idle(std::future::pending::<()>())).await;

    // What failed is redriven by a person. One of the two cannot be helped.
    database.execute_batch("INSERT INTO customer VALUES ('Bob')")?;
    for letter in inbox::dead_letters(&database, &Filter::default(), 10)? {
        let decision = Decision::new("on-call", "Bob is a customer now")?;
        println!("{:?}", letter.event.failure().map(|failure| &failure.reason));
        println!("redriven: {:?}", worker.redrive(letter.event, decision).await?);
    }
    let open = "SELECT group_concat(ticket) FROM cases";
    assert_eq!(database.query_row(open, [], |row| row.get::<_, String>(0))?, "2");
    Ok(std::fs::remove_file(&file)?)
}
