//! RabbitMQ, over AMQP 0.9.1: an event is sent when the server has confirmed it.
//!
//! An event goes to a topic exchange, with its type as routing key, as a persistent
//! message with the flag `mandatory`: one that no queue would get comes back, and is not
//! taken for sent. The attributes of its CloudEvent are headers, and the message's own
//! properties say the same to whoever knows nothing of the standard: `message_id`,
//! `type`, `correlation_id`, `timestamp`, `content_type`. The guide's chapter [on
//! brokers](crate::guide::brokers) shows it in use.
//!
//! ```no_run
//! use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = "amqp://guest:guest@127.0.0.1:5672/%2f";
//! let amqp = Amqp::new(server, AmqpConfig::new("crm"))?; // connects when first used
//! amqp.create_queue("erp", &["lead.#"]).await?;
//!
//! let lead = RawEvent::new("lead.created", b"{}");
//! let event = Envelope::builder("crm", lead).build()?.dispatch();
//! amqp.send(&event).await?;
//!
//! let mut listener = amqp.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

mod acker;
mod address;
mod channels;
mod config;
mod connection;
mod declaring;
mod identity;
mod listener;
mod publishing;
mod reading;
mod refusal;
mod repair;
mod sending;
mod stream;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;

pub use self::acker::Acker;
use self::address::{Server, is_name, named, short};
pub use self::config::AmqpConfig;
use self::connection::Connection;
use self::declaring::Declaration;
pub use self::listener::Listener;
use self::publishing::Message;
use self::refusal::Unanswered;
use self::sending::Sender;
use super::link::Link;
use super::{Broker, BrokerError, Capabilities, ConfigError, DeliveryOrder, RetryWait};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// A connection to RabbitMQ for sending, made when it is first needed and made anew once
/// it is broken. A clone shares it.
#[derive(Clone)]
pub struct Amqp {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    config: AmqpConfig,
    exchange: ShortString,
    link: Link<Arc<Sender>>,
}

impl Amqp {
    /// A server, as `amqp://user:password@host:5672/virtual-host`, or `amqps://` for TLS,
    /// with the feature `tls`. User, password and virtual host are percent-decoded.
    /// Nothing is connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the address or a setting is none, or the address says what
    /// is not kept.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
    ///
    /// assert!(Amqp::new("amqp://127.0.0.1", AmqpConfig::new("crm")).is_ok());
    /// let refused = Amqp::new("127.0.0.1", AmqpConfig::new("crm")).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "the address of the server: expected \
    ///      amqp://user:password@host:5672/virtual-host, found another value (not shown: \
    ///      it may hold a password)"
    /// );
    /// ```
    pub fn new(server: &str, config: AmqpConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let server = Server::new(server, &config)?;
        let exchange = short(&config.exchange).unwrap_or_default();
        Ok(Self {
            inner: Arc::new(Inner { server, config, exchange, link: Link::default() }),
        })
    }

    /// Declares the exchange where it is missing: a durable one of the kind `topic`. One
    /// that is there is its operator's, and is left as it is.
    ///
    /// # Errors
    ///
    /// [`Permanent`](super::BrokerErrorKind::Permanent), in the server's words, where one
    /// is there that is of another kind or that is not durable;
    /// [`Unreachable`](super::BrokerErrorKind::Unreachable);
    /// [`Unavailable`](super::BrokerErrorKind::Unavailable) where it is missing and may
    /// not be made; [`Transient`](super::BrokerErrorKind::Transient) with whatever else
    /// the server answers.
    pub async fn create_exchange(&self) -> Result<(), BrokerError> {
        let declaration = self.inner.declare().await?;
        declaration.exchange().await.map_err(|error| self.inner.refused(&error))
    }

    /// Declares the exchange and a durable queue where they are missing, and binds the
    /// queue, so that it gets each event whose type matches one of the patterns: words
    /// with dots between, `*` for one, `#` for any number.
    ///
    /// A queue that is made here is of the virtual host's own type, mostly a classic one,
    /// which lives on one server. One that must have more (a quorum of servers, a limit)
    /// is created by its operator, and left as it is; let a quorum queue have no
    /// `x-delivery-limit`, or a dead-letter exchange, or the server drops an event whose
    /// handler fails often.
    ///
    /// # Errors
    ///
    /// As [`create_exchange`](Self::create_exchange);
    /// [`Permanent`](super::BrokerErrorKind::Permanent) where a name is too long, or a
    /// queue of this name is not durable or goes with its last consumer.
    pub async fn create_queue(
        &self,
        queue: &str,
        patterns: &[&str],
    ) -> Result<(), BrokerError> {
        let queue = named("that of this queue", queue)?;
        let patterns = patterns.iter().map(|pattern| named("this pattern", pattern));
        let patterns: Vec<ShortString> = patterns.collect::<Result<_, _>>()?;
        let declaration = self.inner.declare().await?;
        let declared = async {
            declaration.exchange().await?;
            declaration.queue(queue, patterns).await
        };
        declared.await.map_err(|error| self.inner.refused(&error))
    }

    /// A consumer of a queue, on a connection of its own. Listeners of one queue share
    /// its events.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none.
    pub fn listen(&self, queue: impl Into<String>) -> Result<Listener, ConfigError> {
        let queue = queue.into();
        is_name("queue", &queue)?;
        Ok(Listener::new(
            self.inner.server.clone(),
            self.inner.config.connect_timeout,
            queue,
        ))
    }
}

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Inner {
    /// What events are sent on.
    async fn sender(&self) -> Result<Arc<Sender>, BrokerError> {
        let (server, exchange) = (self.server.clone(), self.exchange.clone());
        let within = self.config.connect_timeout;
        let connect = async move {
            let connection = Connection::make(&server, within).await?;
            Ok::<_, String>(Arc::new(Sender::new(connection, exchange)))
        };
        // The connection has its own end, which names the server.
        let at_the_latest = within.saturating_add(Duration::from_secs(1));
        self.link.get(|sender| sender.line().is_alive(), at_the_latest, connect).await
    }

    /// Over the same connection, beside its sends.
    async fn declare(&self) -> Result<Declaration, BrokerError> {
        Ok(Declaration::new(self.exchange.clone(), self.sender().await?.line().clone()))
    }

    fn refused(&self, error: &Unanswered) -> BrokerError {
        error.about(&format!("the exchange {} of {}", self.exchange, self.server))
    }
}

impl Broker for Amqp {
    const SYSTEM: &'static str = "rabbitmq";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let message = Message::of(event, self.inner.config.max_message_size)?;
        let sender = self.inner.sender().await?;
        sender
            .send((event.source_system().to_owned(), event.id().to_string()), message)
            .await
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(destination(&[&self.inner.config.exchange, event.event_type()]).into())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: Some(self.inner.config.max_message_size),
            duplicate_window: Some(Duration::ZERO),
            order: Some(DeliveryOrder::Unordered),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Consumer),
        }
    }
}

/// The conventions' name of a destination: exchange, routing key and queue, as far as
/// there are any.
fn destination(parts: &[&str]) -> String {
    let parts = parts.iter().copied().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(":")
}
