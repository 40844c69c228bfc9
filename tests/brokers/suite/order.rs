//! The order of a key behind a broker that lets later events pass one that is tried
//! again, with two consumers of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use integration_automation_patterns::inbox::worker::{ByKey, WorkerConfig};
use integration_automation_patterns::inbox::{
    HandlerError, InboxConfig, sqlite as inbox,
};
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::relay::{Relay, RelayConfig};
use integration_automation_patterns::retry::Backoff;
use integration_automation_patterns::{Envelope, RawEvent, RetryPolicy};
use rusqlite::Connection;
use tokio::sync::watch;

use super::{File, Server};

const EVENTS: usize = 20;

/// A broker may give them all to one of the consumers, which keeps them in order: so often
/// in a row that is no accident.
const ROUNDS: usize = 10;

/// The effects of one key, in their order, where the first event fails once.
async fn effects<S: Server>(config: WorkerConfig) -> Vec<usize> {
    let (server, file) = (S::fresh().await, File::new("order"));
    let (first, second) = (server.consumer().await, server.consumer().await);
    let (enough, seen) = (watch::Sender::new(0), Arc::new(AtomicBool::new(false)));
    let worker = |consumer| {
        let (counted, seen) = (enough.clone(), Arc::clone(&seen));
        let handlers = inbox::handlers().otherwise(move |transaction, event| {
            let id = event.id().to_string();
            if id == "0" && !seen.swap(true, Ordering::SeqCst) {
                return Err(HandlerError::transient("the first one fails once"));
            }
            transaction.execute("INSERT INTO effect (id) VALUES (?1)", [id])?;
            counted.send_modify(|effects| *effects += 1);
            Ok(())
        });
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let again = RetryPolicy::new(5, Backoff::Fixed(Duration::from_secs(1))).unwrap();
        let inbox_config = InboxConfig::new(week, RetryPolicy::DEFAULT).unwrap();
        let inbox_config = inbox_config.retry_policy(again);
        let config = config.clone();
        inbox::Worker::open(&file.0, inbox_config, consumer, handlers, config).unwrap()
    };
    let (one, other) = (worker(first), worker(second));
    let mut database = Connection::open(&file.0).unwrap();
    let table = "CREATE TABLE effect (place INTEGER PRIMARY KEY, id TEXT)";
    database.execute_batch(table).unwrap();
    outbox::install(&mut database).unwrap();
    let transaction = database.transaction().unwrap();
    for number in 0..EVENTS {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(number.to_string().parse().unwrap())
            .ordering_key("lead-7");
        outbox::enqueue(&transaction, event.build().unwrap()).unwrap();
    }
    transaction.commit().unwrap();
    let outbox = outbox::Outbox::open(&file.0).unwrap();
    let broker = server.broker(server.address());
    let relay = Relay::new("relay-1", outbox, broker, RelayConfig::default()).unwrap();
    let stop = || {
        let mut effects = enough.subscribe();
        async move { drop(effects.wait_for(|effects| *effects >= EVENTS).await) }
    };
    tokio::join!(relay.run(stop()), one.run(stop()), other.run(stop()));
    drop((one, other, relay));
    let mut statement = database.prepare("SELECT id FROM effect ORDER BY place").unwrap();
    let ids = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let ids = ids.map(|id| id.unwrap().parse().unwrap()).collect();
    drop(statement);
    server.remove().await;
    ids
}

/// Two consumers, one event that is tried again: as the broker gives it, later ones pass.
/// A worker that keeps the order lets none pass.
pub(crate) async fn a_worker_keeps_the_order_that_the_broker_does_not<S: Server>() {
    let kept = WorkerConfig::default().order(ByKey::default());
    let in_order: Vec<usize> = (0..EVENTS).collect();
    assert_eq!(effects::<S>(kept).await, in_order);
    for _ in 0..ROUNDS {
        let given = effects::<S>(WorkerConfig::default()).await;
        let mut all = given.clone();
        all.sort_unstable();
        assert_eq!(all, in_order, "each has its effect once");
        if given != in_order {
            return;
        }
    }
    panic!("this broker keeps the order by itself");
}
