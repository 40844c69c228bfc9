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

mod answer;
mod apart;
mod client;
mod complaints;
mod group;
mod lag;
mod listener;
mod member;
mod partition;
mod place;
mod producer;
#[cfg(feature = "tls")]
mod sasl;
mod sending;
mod settings;
mod topic;
mod verdict;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rdkafka::config::ClientConfig;

pub use self::answer::Confirm;
pub use self::group::{Begin, Group};
pub use self::lag::Lag;
pub use self::listener::Listener;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use self::sasl::{Sasl, Token};
use self::sending::Sender;
pub use self::settings::Settings;
use super::{Broker, SendError, Unusable};
use crate::state::Dispatched;
use crate::{Envelope, Facts, Untyped};

/// A connection to a Kafka cluster, made when it is first needed and made anew once no broker is there. A clone shares
/// it.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    /// What senders and listeners have in common.
    config: ClientConfig,
    sender: Sender,
}

impl Kafka {
    /// A cluster, as `host:9092` of some of its brokers with commas between. The settings are tried; nothing is connected
    /// before it is needed.
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
        let config = settings.common(servers)?;
        let producer = settings.producer(&config);
        settings.try_producer(&producer)?;
        let sender = Sender::new(settings.clone(), producer);
        Ok(Self { inner: Arc::new(Inner { settings, config, sender }) })
    }

    /// Makes the topic where the cluster does not know it, with so many partitions, each on so many brokers. One that is there is
    /// left as it is. A topic that must have more (`min.insync.replicas`, a retention) is made by its operator.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::SendErrorKind::Unreachable); [`Unavailable`](super::SendErrorKind::Unavailable) for whatever the
    /// cluster refuses.
    pub async fn create_topic(&self, partitions: u16, replicas: u16) -> Result<(), SendError> {
        self.inner.sender.create_topic(partitions, replicas).await
    }

    /// A consumer of the topic, in a group: listeners of one group share its partitions, each group gets every event.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the group has no name, or one of its settings is none.
    pub fn listen(&self, group: impl Into<Group>) -> Result<Listener, Unusable> {
        let Inner { settings, config, .. } = &*self.inner;
        let group = group.into();
        if group.name.is_empty() {
            return Err(Unusable::new("group", "a name", group.name));
        }
        let config = settings.consumer(config, &group);
        settings.try_consumer(&config)?;
        Ok(Listener::new(settings.clone(), config, group))
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Broker for Kafka {
    const SYSTEM: &'static str = "kafka";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        self.inner.sender.send(event).await
    }

    fn destination(&self, _: &Facts<Untyped>) -> Option<Cow<'_, str>> {
        Some(self.inner.settings.topic.as_str().into())
    }
}
