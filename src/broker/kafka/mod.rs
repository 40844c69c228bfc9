//! Kafka: an event is sent when every replica in sync has it.
//!
//! An event goes to one topic, in CloudEvents binary mode. The record's key is the
//! ordering key, or the event's id where there is none, so that events of one key share a
//! partition, the same that Java's client chooses. The producer is an idempotent one:
//! what it sends again by itself is stored once. The guide's chapter [on
//! brokers](crate::guide::brokers) shows it in use.
//!
//! ```no_run
//! use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = KafkaConfig::new("crm");
//! let kafka = Kafka::new("127.0.0.1:9092", config)?; // connects when it is first used
//! let lead = RawEvent::new("lead.created", b"{}");
//! let event = Envelope::builder("crm", lead).build()?.dispatch();
//! kafka.send(&event).await?;
//!
//! let mut listener = kafka.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

mod acker;
mod blocking;
mod client;
mod config;
mod errors;
mod group;
mod lag;
mod listener;
mod member;
mod offsets;
mod partition;
mod producer;
#[cfg(feature = "tls")]
mod sasl;
mod sending;
mod topic;
mod verdict;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;

pub use self::acker::Acker;
pub use self::config::KafkaConfig;
pub use self::group::{Begin, Group};
pub use self::listener::Listener;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use self::sasl::{Sasl, Token};
use self::sending::Sender;
use super::{Broker, BrokerError, Capabilities, ConfigError, DeliveryOrder, RetryWait};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// A connection to a Kafka cluster, made when it is first needed and made anew once no
/// broker is there. A clone shares it.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaConfig,
    /// What senders and listeners have in common.
    client_config: ClientConfig,
    sender: Sender,
}

impl Kafka {
    /// A cluster, as `host:9092` of some of its brokers with commas between. The settings
    /// are tried; nothing is connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where an address or a setting is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::kafka::{Kafka, KafkaConfig};
    ///
    /// assert!(Kafka::new("127.0.0.1:9092", KafkaConfig::new("crm")).is_ok());
    /// let config = KafkaConfig::new("crm leads");
    /// let refused = Kafka::new("127.0.0.1:9092", config).unwrap_err();
    /// assert_eq!((refused.setting(), refused.found()), ("topic", Some("crm leads")));
    /// ```
    pub fn new(servers: &str, config: KafkaConfig) -> Result<Self, ConfigError> {
        let client_config = config.common(servers)?;
        let producer = config.producer(&client_config);
        config.try_producer(&producer)?;
        let sender = Sender::new(config.clone(), producer);
        Ok(Self { inner: Arc::new(Inner { config, client_config, sender }) })
    }

    /// Makes the topic where the cluster does not know it, with so many partitions, each
    /// on so many brokers. One that is there is left as it is. A topic that must have
    /// more (`min.insync.replicas`, a retention) is made by its operator.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::BrokerErrorKind::Unreachable);
    /// [`Unavailable`](super::BrokerErrorKind::Unavailable) for whatever the cluster
    /// refuses.
    pub async fn create_topic(
        &self,
        partitions: u16,
        replicas: u16,
    ) -> Result<(), BrokerError> {
        self.inner.sender.create_topic(partitions, replicas).await
    }

    /// A consumer of the topic, in a group: listeners of one group share its partitions,
    /// each group gets every event.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the group has no name, or one of its settings is none.
    pub fn listen(&self, group: impl Into<Group>) -> Result<Listener, ConfigError> {
        let Inner { config, client_config, .. } = &*self.inner;
        let group = group.into();
        if group.name.is_empty() {
            return Err(ConfigError::new("group", "a name", group.name));
        }
        let client_config = config.consumer(client_config, &group);
        config.try_consumer(&client_config)?;
        Ok(Listener::new(config.clone(), client_config, group))
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Broker for Kafka {
    const SYSTEM: &'static str = "kafka";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.inner.sender.send(event).await
    }

    fn destination(&self, _: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(self.inner.config.topic.as_str().into())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: usize::try_from(self.inner.config.max_message_size).ok(),
            duplicate_window: Some(Duration::ZERO),
            order: Some(DeliveryOrder::ByKey),
            marks_redeliveries: Some(false),
            retry_waits_at: Some(RetryWait::Consumer),
        }
    }
}
