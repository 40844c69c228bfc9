//! The suite on RabbitMQ, and what is AMQP's own.

mod answers;
mod declaring;
mod evaluate;
mod outage;
mod raw;
mod reading;
mod routing;
#[cfg(feature = "tls")]
mod tls;
mod unconfirmed;
mod user;
mod waits;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use integration_automation_patterns::broker::amqp::{Acker, Amqp, AmqpConfig, Listener};
use integration_automation_patterns::broker::{
    Ack, Broker, BrokerError, BrokerErrorKind, Consumer, Delivery,
};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::timeout;
use uuid::Uuid;

use crate::servers;
use crate::suite::{Server, in_time, refusal, the_first_failing};

struct RabbitMq {
    /// The exchange, and the queue that gets everything.
    name: String,
    port: u16,
    channel: Channel,
    _connection: Connection,
}

impl RabbitMq {
    async fn without_a_queue() -> Self {
        Self::at(servers::rabbitmq()).await
    }

    async fn at(port: u16) -> Self {
        let address = format!("amqp://127.0.0.1:{port}");
        let connection =
            Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self {
            name: format!("test-{}", Uuid::now_v7().simple()),
            port,
            channel,
            _connection: connection,
        }
    }

    /// The ids of all messages in the queue, taken out, where there are as many as wanted
    /// or a second brings no more.
    async fn ids(&self, wanted: usize) -> Vec<String> {
        let options =
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let (queue, tag) = (self.name.as_str().into(), "ids".into());
        let mut messages = self
            .channel
            .basic_consume(queue, tag, options, FieldTable::default())
            .await
            .unwrap();
        let mut ids = Vec::new();
        // One more than wanted would be one too many.
        while let Ok(message) = timeout(
            Duration::from_secs(if ids.len() < wanted { 10 } else { 1 }),
            messages.next(),
        )
        .await
        {
            let message = message.unwrap().unwrap();
            ids.push(
                message
                    .properties
                    .message_id()
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            );
        }
        ids
    }

    async fn publish(&self, properties: BasicProperties, body: &[u8]) {
        let (exchange, options) =
            (self.name.as_str().into(), BasicPublishOptions::default());
        let sent = self
            .channel
            .basic_publish(exchange, "foreign".into(), options, body, properties)
            .await;
        sent.unwrap().await.unwrap();
    }
}

impl Server for RabbitMq {
    type Broker = Amqp;
    type Acker = Acker;
    type Consumer = Listener;
    const TOO_LARGE: usize = 100_001;

    async fn fresh() -> Self {
        let server = Self::without_a_queue().await;
        server.broker(server.address()).create_queue(&server.name, &["#"]).await.unwrap();
        server
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    fn broker(&self, address: SocketAddr) -> Amqp {
        Amqp::new(
            &format!("amqp://{address}"),
            AmqpConfig::new(&self.name).max_message_size(100_000),
        )
        .unwrap()
    }

    async fn consumer_at(&self, address: SocketAddr) -> Listener {
        self.broker(address).listen(&self.name).unwrap()
    }

    async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        self.publish(BasicProperties::default().with_headers(table), body).await;
    }

    fn header(attribute: &str) -> String {
        format!("cloudEvents:{attribute}")
    }

    fn place(&self) -> [String; 2] {
        [format!("amqp://{}", self.address()), self.name.clone()]
    }

    async fn remove(self) {
        let exchange = self.name.as_str().into();
        self.channel
            .exchange_delete(exchange, ExchangeDeleteOptions::default())
            .await
            .unwrap();
        self.channel
            .queue_delete(self.name.as_str().into(), QueueDeleteOptions::default())
            .await
            .unwrap();
    }
}

crate::suite_on!(RabbitMq, #[ignore = "needs RabbitMQ"]);
crate::suite_on!(counted RabbitMq, #[ignore = "needs RabbitMQ"]);
crate::suite_on!(unordered RabbitMq, #[ignore = "needs RabbitMQ"]);
crate::suite_on!(lossy RabbitMq, #[ignore = "needs RabbitMQ"]);
#[cfg(feature = "postgres")]
crate::suite_on!(postgres RabbitMq, #[ignore = "needs RabbitMQ and PostgreSQL"]);
#[cfg(feature = "postgres")]
crate::suite_on!(postgres lossy RabbitMq, #[ignore = "needs RabbitMQ and PostgreSQL"]);

fn event(id: &str) -> Envelope<Dispatched> {
    Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id(id.parse().unwrap())
        .correlation_id("import-7")
        .build_at("2026-01-05T08:00:00.5Z".parse().unwrap())
        .unwrap()
        .dispatch()
}

/// Answers a delivery as one whose effect was.
async fn tell<A: Ack>(delivery: Delivery<A>) -> Result<(), BrokerError> {
    let mut inbox = rusqlite::Connection::open_in_memory().unwrap();
    inbox::install(&mut inbox).unwrap();
    let inbox_config =
        InboxConfig::new(Duration::from_secs(24 * 60 * 60), RetryPolicy::DEFAULT)
            .unwrap();
    inbox::process(&mut inbox, delivery, &inbox_config, |_, _| Ok(()))
        .unwrap()
        .settle()
        .await
}

async fn ack<A: Ack>(delivery: Delivery<A>) {
    tell(delivery).await.unwrap();
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn who_knows_nothing_of_the_standard_reads_the_properties() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        server.broker(server.address()).send(&event("1")).await.unwrap();
        let got = server
            .channel
            .basic_get(server.name.as_str().into(), BasicGetOptions { no_ack: true })
            .await;
        let message = got.unwrap().expect("a message");
        assert_eq!(message.routing_key.as_str(), "crm.lead.created");
        let text = |value: &Option<lapin::types::ShortString>| {
            value.as_ref().map(ToString::to_string)
        };
        let properties = &message.properties;
        assert_eq!(text(properties.message_id()).as_deref(), Some("1"));
        assert_eq!(text(properties.kind()).as_deref(), Some("crm.lead.created"));
        assert_eq!(text(properties.correlation_id()).as_deref(), Some("import-7"));
        assert_eq!(text(properties.content_type()).as_deref(), Some("application/json"));
        assert_eq!(*properties.timestamp(), Some(1_767_600_000));
        assert_eq!(*properties.delivery_mode(), Some(2), "kept on disk");
        let headers = properties.headers().as_ref().expect("headers").inner();
        assert_eq!(headers.get("ce-id"), Some(&AMQPValue::LongString("1".into())));
        assert!(!headers.contains_key("ce-datacontenttype"), "the property says it");
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn an_event_that_no_queue_gets_is_not_sent() {
    in_time(async {
        let server = RabbitMq::without_a_queue().await;
        let broker = server.broker(server.address());
        let refused = broker.send(&event("1")).await;
        assert_eq!(refusal(&refused), Some(BrokerErrorKind::Unavailable), "{refused:?}");
        assert!(refused.is_err_and(|error| error.reason().contains("NOT_FOUND")));
        broker.create_exchange().await.unwrap();
        let name = &server.name;
        let reason = format!("no queue gets crm.lead.created from the exchange {name}: declare one, or bind it");
        assert_eq!(broker.send(&event("1")).await, Err(BrokerError::unroutable(reason)));
        broker.create_queue(name, &["crm.#"]).await.unwrap();
        broker.send(&event("1")).await.unwrap();
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn values_that_are_no_text_are_read_as_the_standard_writes_them() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let mut table = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "shop"),
            ("type", "order.placed"),
        ] {
            table.insert(format!("ce-{name}").into(), text(value));
        }
        table.insert("cloudEvents_time".into(), AMQPValue::Timestamp(1_767_600_000));
        table.insert("cloudEvents_count".into(), AMQPValue::LongInt(-7));
        table.insert("cloudEvents_vip".into(), AMQPValue::Boolean(true));
        table.insert("x-other".into(), AMQPValue::FieldTable(FieldTable::default()));
        server
            .publish(BasicProperties::default().with_headers(table.clone()), b"{}")
            .await;
        table.insert(
            "cloudEvents_list".into(),
            AMQPValue::FieldTable(FieldTable::default()),
        );
        server.publish(BasicProperties::default().with_headers(table), b"{}").await;

        let mut listener = server.consumer().await;
        let delivery = listener.next().await.unwrap().unwrap();
        assert_eq!(
            delivery.facts().created_at().to_rfc3339(),
            "2026-01-05T08:00:00+00:00"
        );
        assert_eq!(
            (&*delivery.facts().tags()["count"], &*delivery.facts().tags()["vip"]),
            ("-7", "true")
        );
        let delivery = listener.next().await.unwrap().unwrap();
        assert_eq!(
            delivery.facts().tags()["unreadable"],
            "the header cloudEvents_list is no text, number or time"
        );
        assert_eq!(delivery.facts().source_system(), "foreign");
        server.remove().await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn with_one_unanswered_a_retry_changes_no_order() {
    in_time(async {
        let server = RabbitMq::fresh().await;
        let broker = server.broker(server.address());
        for id in ["1", "2"] {
            broker.send(&event(id)).await.unwrap();
        }
        let mut listener = server.consumer().await.prefetch(1).unwrap();
        assert_eq!(the_first_failing(&mut listener, 3).await, ["1", "1", "2"]);
        server.remove().await;
    })
    .await;
}
