//! What the server refuses of everything costs no event an attempt: whatever it is, all
//! are delivered once when it ends.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::outbox::sqlite as outbox;
use integration_automation_patterns::relay::{self, Incident, Relay};
use integration_automation_patterns::{Envelope, RawEvent};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::super::suite::{Server, in_time};
use super::own::{JETSTREAM, Own};
use super::{JetStream, event};

const EVENTS: i64 = 500;
const WINDOW: Duration = Duration::from_secs(60);

/// An outbox with events, and the relay that sends them: until it was refused a while for
/// this reason, and then, mended, to the end.
async fn waits_for(broker: &Nats, reason: &str, mend: impl Future<Output = ()>) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("place-{}.db", Uuid::now_v7().simple()));
    let mut crm = Connection::open(&file).unwrap();
    outbox::install(&mut crm).unwrap();
    let business = crm.transaction().unwrap();
    for number in 0..EVENTS {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"));
        let event = event
            .id(format!("{number:04}").parse().unwrap())
            .ordering_key(format!("lead-{}", number % 50));
        outbox::enqueue(&business, event.build().unwrap()).unwrap();
    }
    business.commit().unwrap();

    let (tell, mut told) = mpsc::unbounded_channel();
    let config = relay::RelayConfig::default().poll_interval(Duration::from_millis(20));
    let relay = Relay::new(
        "relay-1",
        outbox::Outbox::open(&file).unwrap(),
        broker.clone(),
        config,
    )
    .unwrap();
    let relay = relay.on_incident(move |incident| {
        println!("{incident}");
        if let Incident::Outage(outage) = incident {
            let _ = tell.send(outage.reason.clone());
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let relay = tokio::spawn(async move {
        relay
            .run(async {
                let _ = stopped.await;
            })
            .await
    });
    let refused = told.recv().await.unwrap();
    assert!(refused.contains(reason), "{refused}");
    // Long enough for a whole policy of attempts to be spent, were they.
    tokio::time::sleep(Duration::from_secs(2)).await;
    mend.await;
    let count = |what: &str| {
        let counted = format!("SELECT count(*) FROM outbox_event WHERE {what}");
        crm.query_row(&counted, (), |row| row.get::<_, i64>(0)).unwrap()
    };
    while count("status <> 'acknowledged'") > 0 {
        assert_eq!(count("status = 'failed'"), 0, "dead letters");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(stop);
    let summary = relay.await.unwrap();
    assert_eq!((summary.acknowledged, summary.failed), (500, 0), "{summary:?}");
    assert_eq!(count("attempts = 1"), EVENTS, "an attempt was spent");
    let _ = std::fs::remove_file(file);
}

fn config(server: &JetStream) -> Config {
    let (name, subjects) = (server.stream.clone(), vec![format!("{}.>", server.stream)]);
    Config { name, subjects, duplicate_window: WINDOW, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_missing_stream() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let broker = server.broker(server.address());
        waits_for(&broker, "no stream takes in", async {
            broker.create_stream(WINDOW).await.unwrap()
        })
        .await;
        assert_eq!(server.stored().await, 500);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_full_stream() {
    in_time(async {
        for full in [
            |config| Config { max_messages: 3, discard: DiscardPolicy::New, ..config },
            |config| Config { max_bytes: 2000, discard: DiscardPolicy::New, ..config },
        ] {
            let server = JetStream::without_a_stream().await;
            server.context.create_stream(full(config(&server))).await.unwrap();
            let mend = async {
                drop(server.context.update_stream(config(&server)).await.unwrap())
            };
            waits_for(&server.broker(server.address()), "maximum", mend).await;
            assert_eq!(server.stored().await, 500);
            server.remove().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn a_sealed_stream() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        server.context.create_stream(config(&server)).await.unwrap();
        server
            .context
            .update_stream(Config { sealed: true, ..config(&server) })
            .await
            .unwrap();
        let broker = server.broker(server.address());
        let mend = async {
            server.context.delete_stream(&server.stream).await.unwrap();
            broker.create_stream(WINDOW).await.unwrap();
        };
        waits_for(&broker, "sealed", mend).await;
        assert_eq!(server.stored().await, 500);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs NATS with JetStream"]
async fn another_stream_that_has_the_subjects() {
    in_time(async {
        let server = JetStream::without_a_stream().await;
        let other = format!("{}-other", server.stream);
        server
            .context
            .create_stream(Config { name: other.clone(), ..config(&server) })
            .await
            .unwrap();
        let broker = server.broker(server.address());
        let mend = async {
            server.context.delete_stream(&other).await.unwrap();
            broker.create_stream(WINDOW).await.unwrap();
        };
        waits_for(&broker, "another stream than", mend).await;
        assert_eq!(server.stored().await, 500);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_missing_permission() {
    in_time(async {
        let users = |denied: &str| {
            format!(
                "{JETSTREAM}\nauthorization {{ users = [ {{ user: app, password: a, permissions: {{ publish: {{ deny: [{denied}] }} }} }} ] }}"
            )
        };
        let own = Own::start(&users("\"none\"")).await;
        let broker = own.broker(NatsConfig::new("crm").user("app", "a"));
        broker.create_stream(WINDOW).await.unwrap();
        own.reload(&users("\"crm.>\""));
        let mend = async { own.reload(&users("\"none\"")) };
        let reason = "Permissions Violation for Publish to \"crm.crm.lead.created\"";
        waits_for(&broker, reason, mend).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_server_without_jetstream() {
    in_time(async {
        let mut own = Own::start("").await;
        let broker = own.broker(NatsConfig::new("crm"));
        let mend_with = broker.clone();
        let mend = async {
            own.restart(JETSTREAM).await;
            while mend_with.create_stream(WINDOW).await.is_err() {}
        };
        waits_for(&broker, "no stream takes in", mend).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn a_full_account() {
    in_time(async {
        let account = |bytes: u64| {
            format!(
                "{JETSTREAM}\naccounts {{ ACC {{ jetstream {{ max_file: {bytes}, max_mem: 0 }}, users = [ {{ user: app, password: a }} ] }} }}"
            )
        };
        let own = Own::start(&account(2000)).await;
        let broker = own.broker(NatsConfig::new("crm").user("app", "a"));
        broker.create_stream(WINDOW).await.unwrap();
        let mend = async { own.reload(&account(10_000_000)) };
        waits_for(&broker, "resource", mend).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nats-server"]
async fn what_may_not_be_done_is_said_and_not_timed_out() {
    in_time(async {
        let own = Own::start(&format!(
            "{JETSTREAM}\nauthorization {{ users = [
                {{ user: nothing, password: a, permissions: {{ publish: {{ deny: [\"$JS.API.>\"] }} }} }}
                {{ user: deaf, password: a, permissions: {{ subscribe: {{ deny: [\">\"] }} }} }}
                {{ user: admin, password: a }}
            ] }}"
        ))
        .await;
        own.broker(NatsConfig::new("crm").user("admin", "a")).create_stream(WINDOW).await.unwrap();
        let nothing = own.broker(NatsConfig::new("crm").user("nothing", "a"));
        nothing.send(&event("crm.lead.created")).await.unwrap(); // that it may
        let refused = nothing.create_stream(WINDOW).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable);
        assert!(refused.reason().contains("Permissions Violation for Publish to \"$JS.API.STREAM"), "{refused}");
        use integration_automation_patterns::broker::Consumer;
        let refused = nothing.listen("erp").unwrap().next().await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable);
        assert!(refused.reason().contains("Permissions Violation for Publish to \"$JS.API.CONSUMER"), "{refused}");
        let refused = own.broker(NatsConfig::new("crm").user("deaf", "a")).send(&event("crm.lead.created")).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unreachable, "what would never be confirmed is not sent: {refused}");
        assert!(refused.reason().contains("Permissions Violation for Subscription"), "{refused}");
    })
    .await;
}
