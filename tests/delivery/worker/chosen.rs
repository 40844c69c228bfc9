//! A broker that is chosen when the program starts: relay and worker over its erased form.

use std::time::Duration;

use integration_automation_patterns::broker::{
    AnyBroker, AnyConsumer, Broker, Consumer, in_process,
};
use integration_automation_patterns::inbox::sqlite::{Worker, handlers};
use integration_automation_patterns::inbox::worker::WorkerConfig;
use integration_automation_patterns::outbox::sqlite::{Outbox, enqueue};
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::{Envelope, RawEvent};
use tokio::sync::oneshot;

use super::How;
use super::feed::{Told, feed};
use crate::sqlite::fresh_path;

fn lead(name: &str) -> Envelope<integration_automation_patterns::state::Pending> {
    let lead = RawEvent::new("crm.lead.created", name);
    Envelope::builder("crm", lead).build().expect("well formed")
}

/// Each run is a task of its own, and stops by a channel, whatever that gives.
#[tokio::test]
async fn relay_and_worker_run_over_a_broker_that_was_chosen_at_run_time() {
    let path = fresh_path();
    let outbox = Outbox::open(&path).expect("a file");
    let mut database = rusqlite::Connection::open(&path).expect("a file");
    database.execute_batch("CREATE TABLE seen (name TEXT)").expect("a table");
    let business = database.transaction().expect("a transaction");
    enqueue(&business, lead("Ada")).expect("stored");
    business.commit().expect("committed");

    let (broker, listener) = in_process(16);
    let (broker, consumer) = (AnyBroker::new(broker), AnyConsumer::new(listener));
    let handlers = handlers().otherwise(|transaction, event| {
        let name = event.payload().bytes();
        transaction.execute("INSERT INTO seen VALUES (CAST(?1 AS TEXT))", [name])?;
        Ok(())
    });
    let (inbox, config) = (How::default().inbox, WorkerConfig::default());
    let worker = Worker::open(&path, inbox, consumer, handlers, config).expect("opens");
    let relay = Relay::new("relay", outbox, broker, RelayConfig::default());
    let relay = relay.expect("settings that hold");

    let (stop, stopped) = oneshot::channel::<()>();
    let handling = tokio::spawn(worker.run(stopped));
    let sending = tokio::spawn(relay.run_until_idle(std::future::pending::<()>()));
    let sent = sending.await.expect("no panic");
    assert_eq!((sent.acknowledged, relay.progress()), (1, sent));
    drop(stop);
    let done = handling.await.expect("no panic");
    assert_eq!((done.processed, worker.progress().processed), (1, 1));
    let seen = database.query_row("SELECT name FROM seen", [], |row| row.get(0));
    assert_eq!(seen, Ok("Ada".to_owned()));
}

/// What an adapter says of itself, and its acks and nacks, are the same without its type.
#[tokio::test]
async fn a_broker_without_its_type_is_the_broker() {
    assert_eq!(AnyBroker::new(in_process(1).0).system(), "in_process");

    let (feed, fed) = feed();
    let wait = Duration::from_secs(7);
    let mut consumer = AnyConsumer::new(fed.with_ack_wait(wait));
    assert_eq!(consumer.ack_wait(), Some(wait));
    let database = fresh_path();
    let mut connection = rusqlite::Connection::open(&database).expect("a file");
    let inbox = How::default().inbox;
    integration_automation_patterns::inbox::sqlite::install(&mut connection)
        .expect("installed");
    let (acked, nacked, dropped) = (lead("acked"), lead("nacked"), lead("dropped"));
    let ids = [&acked, &nacked, &dropped].map(|event| event.id().to_string());
    for (event, is_handled) in [(acked, true), (nacked, false)] {
        feed.deliver(event);
        let delivery = consumer.next().await.expect("connected").expect("a delivery");
        let handled = integration_automation_patterns::inbox::sqlite::process(
            &mut connection,
            delivery,
            &inbox,
            |_, _| if is_handled { Ok(()) } else { Err("not now".into()) },
        );
        handled.expect("stored").settle().await.expect("answered");
    }
    feed.deliver(dropped);
    drop(consumer.next().await.expect("connected").expect("a delivery"));
    let [acked, nacked, dropped] = ids;
    let told = feed.told(3).await;
    assert!(matches!(&told[1], Told::Nack(id, _) if *id == nacked), "{told:?}");
    assert_eq!([&told[0], &told[2]], [&Told::Ack(acked), &Told::Dropped(dropped)]);
}
