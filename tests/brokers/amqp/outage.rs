//! What the server refuses of everything costs no event an attempt, and is not sent many
//! times over when it ends.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use integration_automation_patterns::DeliveryStatus::Failed;
use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
use integration_automation_patterns::broker::{Broker, BrokerErrorKind};
use integration_automation_patterns::outbox::Admin;
use integration_automation_patterns::outbox::sqlite::{self as outbox, Outbox};
use integration_automation_patterns::relay::{
    Relay, RelayConfig as RelaySettings, Summary,
};
use integration_automation_patterns::{Envelope, RawEvent};
use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use super::evaluate::evaluate;
use super::user::User;
use super::{RabbitMq, event};
use crate::suite::{Server, in_time, refusal};

const COUNT: usize = 500;

/// How long a cause lasts, long enough for every event to be refused many times over.
const LASTS: Duration = Duration::from_secs(3);

/// Longer than a relay waits for a send.
const A_SEND_AND_MORE: Duration = Duration::from_secs(12);

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder =
            std::env::temp_dir().join(format!("amqp-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Relays events from before the cause until each is confirmed, where the cause is gone
/// after a while.
async fn relayed_through(
    broker: Amqp,
    lasts: Duration,
    cured: impl Future<Output = ()> + Send,
) -> Summary {
    let folder = Folder::new();
    let file = folder.0.join("outbox.db");
    let mut crm = rusqlite::Connection::open(&file).unwrap();
    outbox::install(&mut crm).unwrap();
    let business = crm.transaction().unwrap();
    for number in 0..COUNT {
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .id(id(number).parse().unwrap());
        outbox::enqueue(&business, event.build().unwrap()).unwrap();
    }
    business.commit().unwrap();

    let store = Outbox::open(&file).unwrap();
    let counts = store.clone();
    let relay = Relay::new("relay-1", store, broker, RelaySettings::default()).unwrap();
    let relay = relay.on_incident(|incident| eprintln!("{incident}"));
    let until_all_are_confirmed = async {
        tokio::time::sleep(lasts).await;
        let at_its_end = counts.counts().await.unwrap();
        assert!(
            at_its_end.under_way() > 0 && at_its_end.of(Failed) == 0,
            "{at_its_end:?}"
        );
        cured.await;
        while counts.counts().await.unwrap().under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // A run is more than the stack of a test has room for beside the rest.
    Box::pin(relay.run(until_all_are_confirmed)).await
}

fn id(number: usize) -> String {
    format!("{number:04}")
}

/// Each of them once, and no attempt spent.
fn costs_no_attempt(summary: &Summary, mut ids: Vec<String>) {
    assert_eq!(
        (summary.acknowledged, summary.retrying, summary.failed),
        (COUNT as u64, 0, 0),
        "{summary:?}"
    );
    assert!(summary.released > 0, "{summary:?}");
    ids.sort();
    assert_eq!(ids, (0..COUNT).map(id).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn an_exchange_that_is_missing_for_a_while_costs_no_attempt() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let broker = server.broker(server.address());
        let cured = async {
            server
                .broker(server.address())
                .create_queue(&server.name, &["#"])
                .await
                .unwrap();
        };
        let summary = relayed_through(broker, LASTS, cured).await;
        costs_no_attempt(&summary, server.ids(COUNT).await);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_queue_that_is_missing_for_a_while_costs_no_attempt() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let broker = server.broker(server.address());
        broker.create_exchange().await.unwrap();
        let cured = async {
            server
                .broker(server.address())
                .create_queue(&server.name, &["#"])
                .await
                .unwrap();
        };
        let summary = relayed_through(broker, LASTS, cured).await;
        costs_no_attempt(&summary, server.ids(COUNT).await);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_permission_that_is_missing_for_a_while_costs_no_attempt() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let user = User::new(&server);
        user.may("", "", "");
        let broker = Amqp::new(
            &user.address("amqp", server.address()),
            AmqpConfig::new(&server.name),
        )
        .unwrap();
        let refused = broker.send(&event("refused")).await.unwrap_err();
        assert_eq!(refused.kind(), BrokerErrorKind::Unavailable, "{refused}");
        assert!(refused.reason().contains("ACCESS_REFUSED"), "{refused}");
        let summary =
            relayed_through(broker, LASTS, async { user.may("", ".*", "") }).await;
        costs_no_attempt(&summary, server.ids(COUNT).await);
        drop(user);
        server.remove().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_queue_that_is_full_for_a_while_costs_no_attempt() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let broker = server.broker(server.address());
        broker.create_exchange().await.unwrap();
        let mut limits = FieldTable::default();
        limits
            .insert("x-max-length".into(), AMQPValue::LongInt(COUNT.try_into().unwrap()));
        limits
            .insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let (name, none) = (|| server.name.as_str().into(), FieldTable::default);
        let durable =
            QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        server.channel.queue_declare(name(), durable, limits).await.unwrap();
        let bind = server.channel.queue_bind(
            name(),
            name(),
            "#".into(),
            QueueBindOptions::default(),
            none(),
        );
        bind.await.unwrap();
        let fill = (0..COUNT).map(|number| {
            let broker = &broker;
            async move { broker.send(&event(&format!("before {number}"))).await.unwrap() }
        });
        futures_util::stream::iter(fill).buffer_unordered(100).collect::<Vec<()>>().await;
        let refused = broker.send(&event("too many")).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Unroutable), "{refused:?}");

        let cured = async {
            server
                .channel
                .queue_purge(name(), QueuePurgeOptions::default())
                .await
                .unwrap();
        };
        let summary = relayed_through(broker, LASTS, cured).await;
        costs_no_attempt(&summary, server.ids(COUNT).await);
        server.remove().await;
    })
    .await;
}

/// RabbitMQ of the test's own, which it may alarm.
struct Node {
    folder: Folder,
    port: u16,
    evaluate: String,
}

impl Node {
    fn start() -> Self {
        let folder = Folder::new();
        servers("start", &folder.0);
        let said = std::fs::read_to_string(folder.0.join("env")).unwrap();
        let value = |name: &str| {
            let found = said
                .split([' ', '\n'])
                .find_map(|word| word.strip_prefix(&format!("{name}=")));
            found.unwrap().trim_matches('\'').to_owned()
        };
        Self {
            port: value("TEST_RABBITMQ_PORT").parse().unwrap(),
            evaluate: value("TEST_RABBITMQ_EVALUATE"),
            folder,
        }
    }
}

fn servers(what: &str, folder: &Path) {
    let mut program =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/servers"));
    program.arg(what).arg(folder).args((what == "start").then_some("rabbitmq"));
    // What it starts must not hold on to what a pipe of ours would be.
    let done = program
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(done.unwrap().success(), "{what} {}", folder.display());
}

impl Drop for Node {
    fn drop(&mut self) {
        servers("stop", &self.folder.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ, and starts one"]
async fn the_limit_of_the_server_is_one_events_and_its_alarm_costs_no_attempt_and_no_second_message()
 {
    in_time(async {
        let node = Node::start();
        let tell = |expression: &str| evaluate(&node.evaluate, expression);
        tell("application:set_env(rabbit, max_message_size, 50000)");
        let server = RabbitMq::at(node.port).await;
        let broker = server.broker(server.address());
        broker.create_queue(&server.name, &["#"]).await.unwrap();
        let large = Envelope::builder(
            "crm",
            RawEvent::new("crm.lead.created", vec![b'x'; 50_001]),
        )
        .build()
        .unwrap();
        let (large, beside) = (large.dispatch(), event("beside"));
        for _ in 0..20 {
            let sends = tokio::join!(
                broker.send(&beside),
                broker.send(&large),
                broker.send(&beside)
            );
            assert_eq!(
                refusal(&sends.1),
                Some(BrokerErrorKind::Permanent),
                "{:?}",
                sends.1
            );
            assert_eq!((sends.0, sends.2), (Ok(()), Ok(())));
        }
        server
            .channel
            .queue_purge(server.name.as_str().into(), QueuePurgeOptions::default())
            .await
            .unwrap();

        let watermark = |limit: &str| {
            tell(&format!("vm_memory_monitor:set_vm_memory_high_watermark({limit})"));
        };
        watermark(r#"{absolute, "1MB"}"#);
        let began = Instant::now();
        while broker.send(&event("into the alarm")).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(30), "no alarm");
        }
        let refused = broker.send(&event("during the alarm")).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Unavailable), "{refused:?}");
        drop(broker);

        // A new connection learns of the alarm by its first message.
        let cured = async { watermark("0.8") };
        let summary =
            relayed_through(server.broker(server.address()), A_SEND_AND_MORE, cured)
                .await;
        let mut ids = server.ids(COUNT).await;
        ids.retain(|id| !id.contains("alarm"));
        costs_no_attempt(&summary, ids);
    })
    .await;
}
