//! The suite on the mock cluster of Kafka's client, and what is Kafka's own.

use std::net::SocketAddr;
use std::time::Duration;

use integration_automation_patterns::broker::kafka::{Kafka, Listener, Settings};
use integration_automation_patterns::broker::{Broker, Consumer, SendErrorKind};
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, Untyped};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

use super::suite::{Server, in_time, refusal, the_first_failing};

const TOPIC: &str = "crm";

struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    fn with_partitions(partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, partitions, 1).unwrap();
        Self(cluster)
    }
}

impl Server for Cluster {
    type Broker = Kafka;
    type Consumer = Listener;
    const TOO_LARGE: usize = 1_000_000;
    const FIRST_MAY_BE_AGAIN: bool = true;

    async fn fresh() -> Self {
        Self::with_partitions(1)
    }

    fn address(&self) -> SocketAddr {
        self.0.bootstrap_servers().parse().unwrap()
    }

    fn broker(&self, address: SocketAddr) -> Kafka {
        Kafka::new(&address.to_string(), Settings::new(TOPIC)).unwrap()
    }

    async fn consumer(&self) -> Listener {
        // The mock cluster notices that a member has left when its session ends.
        let broker = self.broker(self.address()).client_setting("session.timeout.ms", "6000").unwrap();
        broker.listen("erp").unwrap()
    }

    async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
        let mut config = ClientConfig::new();
        let producer: FutureProducer = config.set("bootstrap.servers", self.0.bootstrap_servers()).create().unwrap();
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        let record = FutureRecord::<(), _>::to(TOPIC).payload(body).headers(headers);
        producer.send(record, Duration::from_secs(5)).await.unwrap();
    }

    fn header(attribute: &str) -> String {
        format!("ce_{attribute}")
    }

    async fn remove(self) {}
}

crate::suite_on!(Cluster);

fn event(id: &str, key: &str) -> Envelope<Dispatched> {
    let builder = Envelope::builder("crm", Untyped::new("crm.lead.created", b"{}")).id(id.parse().unwrap());
    builder.ordering_key(key).build().unwrap().dispatch()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_down_is_unreachable_and_used_once_it_is_up() {
    in_time(async {
        let server = Cluster::fresh().await;
        let broker = server.broker(server.address());
        server.0.broker_down(-1).unwrap();
        let sent = broker.send(&event("1", "")).await;
        assert_eq!(refusal(&sent), Some(SendErrorKind::Unreachable), "{sent:?}");
        server.0.broker_up(-1).unwrap();
        broker.send(&event("1", "")).await.unwrap();

        server.0.broker_down(-1).unwrap();
        // The loss itself may be noticed by a send, whose event may have arrived; after that, nothing was sent.
        loop {
            match refusal(&broker.send(&event("2", "")).await) {
                Some(SendErrorKind::Transient) => {}
                Some(SendErrorKind::Unreachable) => break,
                other => panic!("{other:?}"),
            }
        }
        server.0.broker_up(-1).unwrap();
        while let Err(error) = broker.send(&event("3", "")).await {
            assert_ne!(error.kind(), SendErrorKind::Permanent, "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_changes_no_order_within_its_partition() {
    in_time(async {
        let server = Cluster::fresh().await;
        let broker = server.broker(server.address());
        for id in ["1", "2", "3"] {
            broker.send(&event(id, "lead-7")).await.unwrap();
        }
        let mut listener = server.consumer().await;
        assert_eq!(the_first_failing(&mut listener, 4).await, ["1", "1", "2", "3"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_delivered_again_to_the_same_listener() {
    in_time(async {
        let server = Cluster::fresh().await;
        let broker = server.broker(server.address());
        for id in ["1", "2"] {
            broker.send(&event(id, "lead-7")).await.unwrap();
        }
        let mut listener = server.consumer().await;
        let first = listener.next().await.unwrap().unwrap();
        let second = listener.next().await.unwrap().unwrap();
        assert_eq!(second.facts().id().to_string(), "2");
        drop(first);
        let again = listener.next().await.unwrap().unwrap();
        assert_eq!(again.facts().id().to_string(), "1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_key_share_a_partition_whoever_sends_them() {
    in_time(async {
        let server = Cluster::with_partitions(8);
        let broker = server.broker(server.address());
        for number in 0..20 {
            broker.send(&event(&number.to_string(), &format!("lead-{}", number % 5))).await.unwrap();
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", server.0.bootstrap_servers()).set("group.id", "check");
        config.set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = config.create().unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        let mut partitions = std::collections::BTreeMap::new();
        for _ in 0..20 {
            let message = consumer.recv().await.unwrap();
            let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
            assert_eq!(*partitions.entry(key).or_insert(message.partition()), message.partition());
        }
        assert_eq!(partitions.len(), 5);
    })
    .await;
}
