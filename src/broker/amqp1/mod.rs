//! Brokers that speak AMQP 1.0: ActiveMQ Artemis and Classic, Qpid Broker-J, Azure
//! Service Bus, IBM MQ, RabbitMQ 4. An event is sent when the server has accepted it.
//!
//! An event goes to one queue or topic, as a durable message. The attributes of its
//! CloudEvent are application properties, and the message's own properties say the same
//! to whoever knows nothing of the standard: `message-id`, `subject` (the type),
//! `correlation-id`, `creation-time`, `content-type`, and `group-id`, which is the
//! ordering key. The guide's chapter [on AMQP 1.0](crate::guide::amqp1) shows the settings
//! of each server, and what none of them can promise.
//!
//! ```no_run
//! use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "amqp://app:secret@127.0.0.1:5672";
//! let orders = Amqp1::new(server, Amqp1Config::queue("orders"))?; // connects when used
//!
//! let order = RawEvent::new("order.placed", b"{}");
//! let event = Envelope::builder("shop", order).build()?.dispatch();
//! orders.send(&event).await?;
//!
//! let mut listener = orders.listen("orders")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "order.placed");
//! # Ok(())
//! # }
//! ```

mod acker;
mod config;
mod connection;
mod credit;
mod identity;
mod listener;
mod outcome;
mod outgoing;
mod reading;
mod receiving;
mod sending;
mod server;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use self::acker::Acker;
pub use self::config::{Amqp1Config, NackAs};
use self::config::{Kind, is_name};
pub use self::listener::Listener;
use self::outgoing::outgoing;
use self::sending::Sender;
use self::server::Server;
use super::link::Link;
use super::{Broker, BrokerError, Capabilities, ConfigError, DeliveryOrder, RetryWait};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// A connection to a broker that speaks AMQP 1.0, for sending: made when it is first
/// needed and made anew once it is broken. A clone shares it.
#[derive(Clone)]
pub struct Amqp1 {
    inner: Arc<Inner>,
}

struct Inner {
    server: Arc<Server>,
    config: Amqp1Config,
    link: Link<Arc<Sender>>,
}

impl Amqp1 {
    /// A server, as `amqp://user:password@host:5672`, or `amqps://` for TLS, with the
    /// feature `tls`. User and password are percent-decoded; without them nobody signs in
    /// (SASL ANONYMOUS). Nothing is connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the address or a setting is none, or the address says what
    /// is not kept.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
    ///
    /// let orders = Amqp1Config::queue("orders");
    /// assert!(Amqp1::new("amqp://127.0.0.1", orders.clone()).is_ok());
    /// let refused = Amqp1::new("127.0.0.1", orders).unwrap_err();
    /// assert_eq!(refused.setting(), "address of the server");
    /// ```
    pub fn new(server: &str, config: Amqp1Config) -> Result<Self, ConfigError> {
        config.check()?;
        let server = Arc::new(Server::new(server, &config)?);
        Ok(Self { inner: Arc::new(Inner { server, config, link: Link::default() }) })
    }

    /// A consumer of a queue or subscription, by the name that the server has for it, on
    /// a connection of its own. Listeners of one queue share its events.
    ///
    /// A subscription that lasts is a queue of its own: `news::erp` at ActiveMQ Artemis,
    /// `Consumer.erp.VirtualTopic.news` at ActiveMQ Classic, `news/Subscriptions/erp` at
    /// Azure Service Bus, a queue bound to the exchange at Qpid Broker-J.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none, or is that of the topic, which keeps
    /// nothing for a listener that is away.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
    ///
    /// let news = Amqp1::new("amqp://127.0.0.1", Amqp1Config::topic("news"))?;
    /// assert!(news.listen("news::erp").is_ok());
    /// assert!(news.listen("news").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(&self, address: impl Into<String>) -> Result<Listener, ConfigError> {
        let (address, config) = (address.into(), &self.inner.config);
        is_name("address of a listener", &address)?;
        let is_the_topic = address == config.address || address == config.target();
        if config.kind == Kind::Topic && is_the_topic {
            return Err(ConfigError::new(
                "address of a listener",
                "that of a subscription, as news::erp: a topic keeps nothing for a \
                 listener that is away",
                address,
            ));
        }
        Ok(Listener::new(Arc::clone(&self.inner.server), config, address))
    }
}

impl fmt::Debug for Amqp1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp1")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// What events are sent on.
    async fn sender(&self) -> Result<Arc<Sender>, BrokerError> {
        let (server, config) = (Arc::clone(&self.server), self.config.clone());
        let within = config.connect_timeout;
        let attach = async move { Sender::attach(&server, &config).await.map(Arc::new) };
        // Each of its two steps has an end of its own, which names the server.
        let at_the_latest = within.saturating_mul(3);
        self.link.get(|sender| sender.is_alive(), at_the_latest, attach).await
    }
}

impl Broker for Amqp1 {
    const SYSTEM: &'static str = "amqp1";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let message = outgoing(event, &self.inner.config)?;
        sending::send(message, || self.inner.sender()).await
    }

    fn destination(&self, _event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.inner.config.address))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: Some(self.inner.config.max_message_size),
            duplicate_window: None,
            order: Some(DeliveryOrder::Unordered),
            marks_redeliveries: Some(false),
            retry_waits_at: Some(RetryWait::Consumer),
        }
    }
}
