//! A topic of its own on a real cluster, for one test.

use std::net::SocketAddr;
use std::time::Duration;

use integration_automation_patterns::broker::kafka::{
    Acker, Group, Kafka, KafkaConfig, Listener,
};
use integration_automation_patterns::broker::{Consumer, Delivery};
use integration_automation_patterns::cloudevents::{Binding, CloudEvent};
use integration_automation_patterns::inbox::{InboxConfig, sqlite as inbox};
use integration_automation_patterns::retry::RetryPolicy;
use integration_automation_patterns::state::Dispatched;
use integration_automation_patterns::{Envelope, RawEvent};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use crate::proxy::Proxy;
use crate::servers;
use crate::suite::Server;

pub(super) type Admin = AdminClient<DefaultClientContext>;

pub(super) struct Cluster {
    port: u16,
    pub(super) topic: String,
}

pub(super) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(super) fn event(id: &str, key: &str) -> Envelope<Dispatched> {
    let builder = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
        .id(id.parse().unwrap());
    builder.ordering_key(key).build().unwrap().dispatch()
}

/// The next delivery, whatever is told before it.
pub(super) async fn next(listener: &mut Listener) -> Delivery<Acker> {
    loop {
        match listener.next().await {
            Ok(delivery) => return delivery.expect("a delivery"),
            Err(error) => eprintln!("{error}"),
        }
    }
}

pub(super) fn id(delivery: &Delivery<Acker>) -> String {
    delivery.facts().id().to_string()
}

/// Has the delivery answered as an inbox has it whose effect succeeds.
pub(super) async fn ack(delivery: Delivery<Acker>) {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    inbox::install(&mut database).unwrap();
    inbox::process(&mut database, delivery, &inbox_config(), |_, _| Ok(()))
        .unwrap()
        .settle()
        .await
        .unwrap();
}

pub(super) fn inbox_config() -> InboxConfig {
    InboxConfig::new(Duration::from_secs(24 * 60 * 60), RetryPolicy::DEFAULT).unwrap()
}

impl Cluster {
    /// A name at the test's server that no topic has yet.
    pub(super) fn without_a_topic() -> Self {
        Self::at(servers::kafka())
    }

    pub(super) fn at(port: u16) -> Self {
        Self { port, topic: format!("test-{}", Uuid::now_v7().simple()) }
    }

    pub(super) async fn with(partitions: i32, config: &[(&str, &str)]) -> Self {
        let cluster = Self::without_a_topic();
        cluster.create(partitions, 1, config).await;
        cluster
    }

    pub(super) async fn create(
        &self,
        partitions: i32,
        replicas: i32,
        config: &[(&str, &str)],
    ) {
        let new =
            NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(replicas));
        let new = config.iter().fold(new, |new, (name, value)| new.set(name, value));
        let created =
            self.admin().create_topics([&new], &AdminOptions::new()).await.unwrap();
        created.into_iter().for_each(|topic| drop(topic.unwrap()));
    }

    pub(super) fn servers(&self) -> String {
        local(self.port).to_string()
    }

    pub(super) fn client_config(&self) -> ClientConfig {
        let mut client_config = ClientConfig::new();
        client_config.set("bootstrap.servers", self.servers());
        client_config
    }

    pub(super) fn admin(&self) -> Admin {
        self.client_config().create().unwrap()
    }

    pub(super) fn config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.topic)
    }

    pub(super) fn kafka(&self) -> Kafka {
        Kafka::new(&self.servers(), self.config()).unwrap()
    }

    /// A listener in a group of the topic's name.
    pub(super) fn listener(&self) -> Listener {
        self.kafka().listen(self.group()).unwrap()
    }

    pub(super) fn group(&self) -> Group {
        Group::new(&self.topic)
    }

    pub(super) fn foreign_producer(&self) -> FutureProducer {
        self.client_config().create().unwrap()
    }

    /// Sends an event to this very partition.
    pub(super) async fn send_to(&self, partition: i32, id: &str) {
        let event = CloudEvent::of(&event(id, ""));
        let headers = event.headers(Binding::Kafka);
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key: &key, value: Some(&*value) })
        });
        let record = FutureRecord::<(), _>::to(&self.topic)
            .partition(partition)
            .payload(event.data())
            .headers(headers);
        self.foreign_producer().send(record, Duration::from_secs(5)).await.unwrap();
    }

    /// Deletes what lies before an offset, as retention does.
    pub(super) async fn delete_before(&self, partition: i32, offset: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(&self.topic, partition, Offset::Offset(offset))
            .unwrap();
        self.admin().delete_records(&offsets, &AdminOptions::new()).await.unwrap();
    }

    /// How far the group of the topic's name has committed.
    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer =
            self.client_config().set("group.id", &self.topic).create().unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, partition);
        let committed =
            consumer.committed_offsets(asked, Duration::from_secs(10)).unwrap();
        match committed.find_partition(&self.topic, partition).unwrap().offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

impl Server for Cluster {
    type Broker = Kafka;
    type Acker = Acker;
    type Consumer = Listener;
    const TOO_LARGE: usize = 1_000_000;
    const FIRST_MAY_BE_AGAIN: bool = true;

    async fn fresh() -> Self {
        Self::with(1, &[]).await
    }

    fn address(&self) -> SocketAddr {
        local(self.port)
    }

    fn broker(&self, address: SocketAddr) -> Kafka {
        Kafka::new(&address.to_string(), self.config()).unwrap()
    }

    async fn consumer_at(&self, address: SocketAddr) -> Listener {
        self.broker(address).listen(self.group()).unwrap()
    }

    async fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) {
        let headers =
            headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(*value) })
            });
        let record =
            FutureRecord::<(), _>::to(&self.topic).payload(body).headers(headers);
        self.foreign_producer().send(record, Duration::from_secs(5)).await.unwrap();
    }

    fn header(attribute: &str) -> String {
        format!("ce_{attribute}")
    }

    fn place(&self) -> [String; 2] {
        [format!("kafka://{}", self.servers()), format!("{0}/{0}", self.topic)]
    }

    async fn remove(self) {
        let _ = self.admin().delete_topics(&[&self.topic], &AdminOptions::new()).await;
    }
}

/// The same server by a listener that tells its clients to go where a proxy stands: one
/// test at a time.
pub(super) struct Behind {
    pub(super) cluster: Cluster,
    _turn: OwnedMutexGuard<()>,
}

impl Server for Behind {
    type Broker = Kafka;
    type Acker = Acker;
    type Consumer = Listener;
    const TOO_LARGE: usize = Cluster::TOO_LARGE;
    const FIRST_MAY_BE_AGAIN: bool = true;
    const CUT: usize = 800;

    async fn fresh() -> Self {
        static TURN: std::sync::LazyLock<std::sync::Arc<Mutex<()>>> =
            std::sync::LazyLock::new(Default::default);
        let turn = TURN.clone().lock_owned().await;
        Self { cluster: Cluster::fresh().await, _turn: turn }
    }

    fn address(&self) -> SocketAddr {
        local(servers::kafka_behind_a_proxy().0)
    }

    fn proxy(&self) -> impl Future<Output = Proxy> {
        Proxy::start_at(local(servers::kafka_behind_a_proxy().1), self.address())
    }

    fn broker(&self, address: SocketAddr) -> Kafka {
        self.cluster.broker(address)
    }

    // Past the proxy.
    fn consumer(&self) -> impl Future<Output = Listener> {
        self.cluster.consumer()
    }

    fn consumer_at(&self, address: SocketAddr) -> impl Future<Output = Listener> {
        self.cluster.consumer_at(address)
    }

    fn foreign(&self, headers: &[(&str, &str)], body: &[u8]) -> impl Future<Output = ()> {
        self.cluster.foreign(headers, body)
    }

    fn header(attribute: &str) -> String {
        Cluster::header(attribute)
    }

    fn place(&self) -> [String; 2] {
        self.cluster.place()
    }

    async fn remove(self) {
        self.cluster.remove().await;
    }
}
