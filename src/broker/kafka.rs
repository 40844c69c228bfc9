//! Kafka: an event is sent when every replica in sync has it.
//!
//! An event goes to one topic, in CloudEvents binary mode. The record's key is the ordering key, or the event's id where
//! there is none, so that events of one key share a partition, the same that Java's client chooses. The producer is an
//! idempotent one: what it sends again by itself is stored once. The guide's chapter [on brokers](crate::guide::brokers)
//! shows it in use.
//!
//! ```no_run
//! use integration_automation_patterns::broker::kafka::{Kafka, Settings};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, Untyped};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let kafka = Kafka::new("127.0.0.1:9092", Settings::new("crm"))?; // connects when it is first used
//! let event = Envelope::builder("crm", Untyped::new("lead.created", b"{}")).build()?.dispatch();
//! kafka.send(&event).await?;
//!
//! let mut listener = kafka.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

mod listener;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use tokio::sync::watch;

pub use self::listener::{Confirm, Listener};
use super::link::Link;
use super::{Broker, SendError, Unusable};
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::Dispatched;
use crate::{Envelope, Facts, Untyped};

/// Which topic, and how long to wait for the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before an adapter has them"]
pub struct Settings {
    topic: String,
    connect_within: Duration,
    answer_within: Duration,
    largest: u32,
}

impl Settings {
    /// The topic of this name; 3 s to connect, 5 s for an answer, and no message larger than 1,000,000 bytes.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send that it gives up counts as an
    /// attempt, and one that finds the cluster gone does not.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            connect_within: Duration::from_secs(3),
            answer_within: Duration::from_secs(5),
            largest: 1_000_000,
        }
    }

    /// How long a connection may take to be made.
    pub fn connect_within(self, connect_within: Duration) -> Self {
        Self { connect_within, ..self }
    }

    /// How long the cluster may take to answer, from one second up. Then the attempt has failed.
    pub fn answer_within(self, answer_within: Duration) -> Self {
        Self { answer_within, ..self }
    }

    /// The most bytes of a message, headers included. Let it be no more than the topic's `max.message.bytes`.
    pub fn largest(self, largest: u32) -> Self {
        Self { largest, ..self }
    }
}

/// A connection to a Kafka cluster, made when it is first needed and made anew once no broker is there. A clone shares
/// it.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    settings: Settings,
    link: Link<Arc<Open>>,
}

/// A producer, and whether it was lost.
struct Open {
    /// Always there, but while this is dropped.
    producer: Option<FutureProducer<Watch>>,
    lost: watch::Receiver<bool>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // It waits for its threads, which would block the runtime.
        let producer = self.producer.take();
        std::thread::spawn(move || drop(producer));
    }
}

/// Learns that no broker is there, or that the producer can go on no more.
struct Watch {
    lost: watch::Sender<bool>,
}

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, _reason: &str) {
        if matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Fatal)) {
            self.lost.send_replace(true);
        }
    }
}

impl Kafka {
    /// A cluster, as `host:9092` of some of its brokers with commas between. Nothing is connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where an address or a setting is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::kafka::{Kafka, Settings};
    ///
    /// assert!(Kafka::new("127.0.0.1:9092", Settings::new("crm")).is_ok());
    /// let refused = Kafka::new("127.0.0.1:9092", Settings::new("crm leads")).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"the topic is to be a name of 1 to 249 of a-z, A-Z, 0-9, . _ and -, and found "crm leads""#
    /// );
    /// ```
    pub fn new(servers: &str, settings: Settings) -> Result<Self, Unusable> {
        if servers.split(',').any(|server| server.trim().is_empty()) {
            return Err(Unusable::new("list of brokers", "host:9092, with commas between", servers));
        }
        is_name("topic", &settings.topic)?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("socket.keepalive.enable", "true");
        Ok(Self { inner: Arc::new(Inner { config, settings, link: Link::default() }) })
    }

    /// A setting of the client library itself (librdkafka), such as `security.protocol` or `sasl.username`. Those on
    /// which this adapter relies cannot be changed.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the adapter relies on the setting.
    pub fn client_setting(self, name: &str, value: &str) -> Result<Self, Unusable> {
        const FIXED: [&str; 8] = [
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "message.timeout.ms",
            "delivery.timeout.ms",
            "group.id",
            "enable.auto.commit",
            "enable.auto.offset.store",
        ];
        if FIXED.contains(&name) {
            return Err(Unusable::new("client setting", "one that this adapter does not rely on", name));
        }
        let mut config = self.inner.config.clone();
        config.set(name, value);
        let settings = self.inner.settings.clone();
        Ok(Self { inner: Arc::new(Inner { config, settings, link: Link::default() }) })
    }

    /// A consumer of the topic, in a group: listeners of one group share its partitions, each group gets every event.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the group has no name.
    pub fn listen(&self, group: impl Into<String>) -> Result<Listener, Unusable> {
        let group = group.into();
        if group.is_empty() {
            return Err(Unusable::new("group", "a name", group));
        }
        Ok(Listener::new(self.inner.config.clone(), self.inner.settings.topic.clone(), group))
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

fn is_name(what: &'static str, name: &str) -> Result<(), Unusable> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_one = (1..=249).contains(&name.len()) && name.bytes().all(is_plain);
    is_one.then_some(()).ok_or_else(|| Unusable::new(what, "a name of 1 to 249 of a-z, A-Z, 0-9, . _ and -", name))
}

impl Inner {
    async fn open(&self) -> Result<Arc<Open>, SendError> {
        let (within, topic) = (self.settings.connect_within, self.settings.topic.clone());
        let mut config = self.config.clone();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", self.settings.answer_within.as_millis().max(1000).to_string())
            .set("message.max.bytes", self.settings.largest.to_string())
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.ms", "2");
        let connect = async move {
            let opened = tokio::task::spawn_blocking(move || {
                let (lost, told) = watch::channel(false);
                let producer: FutureProducer<Watch> = config.create_with_context(Watch { lost })?;
                let open = Open { producer: Some(producer), lost: told };
                // A producer is one before it has met a broker. This asks whether there is any.
                if let Some(producer) = &open.producer {
                    producer.client().fetch_metadata(Some(&topic), within)?;
                }
                Ok::<_, KafkaError>(Arc::new(open))
            });
            opened.await.map_err(|ended| ended.to_string())?.map_err(|error| error.to_string())
        };
        // The client keeps the time itself; it must not be left behind in the middle.
        self.link.get(|open| !*open.lost.borrow(), within.saturating_mul(2), connect).await
    }

    async fn publish(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        let key = event.ordering_key().map_or_else(|| event.id().to_string(), str::to_owned);
        let timestamp = event.created_at().timestamp_millis().max(0);
        let event = CloudEvent::of(event);
        let mut headers = OwnedHeaders::new();
        let mut size = key.len().saturating_add(event.data().len());
        for (name, value) in event.headers(Binding::Kafka) {
            size = size.saturating_add(name.len()).saturating_add(value.len());
            headers = headers.insert(Header { key: &name, value: Some(&*value) });
        }
        let largest = self.settings.largest;
        if u32::try_from(size).map_or(true, |size| size > largest) {
            let reason = format!("a message has at most {largest} bytes here, and that of this event has {size}");
            return Err(SendError::permanent(reason));
        }
        let record = FutureRecord::to(&self.settings.topic).key(&key).payload(event.data()).headers(headers);

        let open = self.open().await?;
        let mut lost = open.lost.clone();
        let gone = || SendError::unreachable("the producer was closed");
        let producer = open.producer.as_ref().ok_or_else(gone)?;
        let queued = producer.send_result(record.timestamp(timestamp));
        let delivered = queued.map_err(|(error, _)| self.refusal(&error))?;
        tokio::select! {
            biased;
            delivered = delivered => match delivered {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(self.refusal(&error)),
                Err(_) => Err(SendError::transient("the producer was closed before the brokers had confirmed")),
            },
            _ = lost.wait_for(|lost| *lost) => {
                Err(SendError::transient("no broker is there, and none has confirmed"))
            }
        }
    }

    fn refusal(&self, error: &KafkaError) -> SendError {
        let reason = format!("the topic {}: {error}", self.settings.topic);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord) => {
                SendError::permanent(reason)
            }
            _ => SendError::transient(reason),
        }
    }
}

impl Broker for Kafka {
    const SYSTEM: &'static str = "kafka";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        self.inner.publish(event).await
    }

    fn destination(&self, _: &Facts<Untyped>) -> Option<Cow<'_, str>> {
        Some(self.inner.settings.topic.as_str().into())
    }
}
