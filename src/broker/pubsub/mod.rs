//! Pub/Sub of Google Cloud: an event is sent when Pub/Sub has stored it. *Experimental*:
//! there was only an emulator to try it on.
//!
//! An event goes to one topic, as a CloudEvent in binary mode: its attributes are those of
//! the message. One with an attribute that is too long for a message, or with too many, is
//! in structured mode. Each subscription of the topic is a group of consumers, and one
//! with message ordering keeps the order of each ordering key, also over retries. The
//! guide's chapter [on Pub/Sub](crate::guide::pubsub) shows it in use.
//!
//! The client is Google's own, with the program's credentials.
//!
//! ```no_run
//! use google_cloud_auth::credentials::Credentials;
//! use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//!
//! // As `google_cloud_auth::credentials::Builder::default().build()` makes them.
//! # async fn run(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
//! let topic = "projects/shop/topics/orders";
//! let orders = PubSub::new(topic, credentials, PubSubConfig::default())?;
//!
//! let order = RawEvent::new("order.placed", b"{}");
//! let event = Envelope::builder("shop", order).build()?.dispatch();
//! orders.send(&event).await?; // connects on first use
//!
//! let mut listener = orders.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "order.placed");
//! # Ok(())
//! # }
//! ```

mod acker;
mod config;
mod creating;
mod hold;
mod listener;
mod order;
mod place;
mod pulling;
mod reading;
mod retries;
mod sending;
mod server;
mod silence;
mod verdict;
mod writing;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::{Credentials, anonymous};

pub use self::acker::Acker;
pub use self::config::PubSubConfig;
pub use self::listener::Listener;
use self::place::Topic;
use self::sending::Sender;
use self::server::Server;
use super::{Broker, BrokerError, Capabilities, ConfigError, RetryWait};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// One topic of Pub/Sub. A clone shares its connections.
#[derive(Clone)]
pub struct PubSub {
    inner: Arc<Inner>,
}

struct Inner {
    topic: Topic,
    config: PubSubConfig,
    server: Arc<Server>,
    sender: Sender,
}

impl PubSub {
    /// A topic by its full name, with the program's credentials. Nothing is connected
    /// before it is needed. If the program has installed no provider of cryptography for
    /// rustls, ring is installed: the client needs one.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none of a topic, the endpoint is not one over
    /// TLS, or a setting is none.
    ///
    /// ```
    /// use google_cloud_auth::credentials::anonymous;
    /// use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
    ///
    /// let credentials = anonymous::Builder::new().build();
    /// let refused = PubSub::new("orders", credentials, PubSubConfig::default());
    /// assert_eq!(
    ///     refused.unwrap_err().to_string(),
    ///     r#"the topic: expected projects/PROJECT/topics/TOPIC, found "orders""#
    /// );
    /// ```
    pub fn new(
        topic: &str,
        credentials: Credentials,
        config: PubSubConfig,
    ) -> Result<Self, ConfigError> {
        if let Some(endpoint) = &config.endpoint {
            place::check_endpoint(endpoint)?;
        }
        Self::at(config.endpoint.clone(), topic, credentials, config)
    }

    /// A topic of an emulator, at an address as `PUBSUB_EMULATOR_HOST` has it: in plain
    /// text, and without credentials.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the address is no host and port, the configuration has an
    /// endpoint too, the name is none of a topic, or a setting is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
    ///
    /// let topic = "projects/shop/topics/orders";
    /// let config = PubSubConfig::default();
    /// assert!(PubSub::at_emulator("127.0.0.1:8085", topic, config).is_ok());
    /// ```
    pub fn at_emulator(
        address: &str,
        topic: &str,
        config: PubSubConfig,
    ) -> Result<Self, ConfigError> {
        let endpoint = place::emulator(address)?;
        if config.endpoint.is_some() {
            let wanted = "none beside the address of an emulator";
            return Err(ConfigError::hidden("endpoint", wanted));
        }
        Self::at(Some(endpoint), topic, anonymous::Builder::new().build(), config)
    }

    fn at(
        endpoint: Option<String>,
        topic: &str,
        credentials: Credentials,
        config: PubSubConfig,
    ) -> Result<Self, ConfigError> {
        let config = config.check()?;
        let topic = Topic::new(topic)?;
        let within = config.request_timeout;
        let server = Arc::new(Server::new(endpoint, credentials, within));
        let about = format!("the topic {}", topic.id);
        let sender = Sender::new(topic.full_name.clone(), about, Arc::clone(&server));
        Ok(Self { inner: Arc::new(Inner { topic, config, server, sender }) })
    }

    /// Creates the topic where it is missing, with Google's defaults. One that is there is
    /// left as it is.
    ///
    /// # Errors
    ///
    /// [`BrokerError`], as of a send.
    pub async fn create_topic(&self) -> Result<(), BrokerError> {
        self.inner.create_topic().await
    }

    /// Creates a subscription of the topic where it is missing, with message ordering. One
    /// that is there is left as it is. It gets what is sent from then on.
    ///
    /// # Errors
    ///
    /// [`BrokerError`]: *permanent* where the name is none, and else as of a send.
    pub async fn create_subscription(&self, name: &str) -> Result<(), BrokerError> {
        self.inner.create_subscription(name).await
    }

    /// A consumer of a subscription, by its id in the topic's project or its full name.
    /// Listeners of one subscription share its events; each subscription gets them all.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
    ///
    /// let topic = "projects/shop/topics/orders";
    /// let config = PubSubConfig::default();
    /// let orders = PubSub::at_emulator("127.0.0.1:8085", topic, config)?;
    /// assert!(orders.listen("erp").is_ok());
    /// assert!(orders.listen("projects/other/subscriptions/erp").is_ok());
    /// assert!(orders.listen(topic).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(&self, subscription: &str) -> Result<Listener, ConfigError> {
        let subscription = self.inner.topic.subscription(subscription)?;
        Ok(Listener::new(Arc::clone(&self.inner.server), subscription))
    }
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub")
            .field("topic", &self.inner.topic.full_name)
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Broker for PubSub {
    const SYSTEM: &'static str = "gcp_pubsub";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let Inner { topic, config, sender, .. } = &*self.inner;
        sender.send(writing::write(event, topic, config.max_message_size)?).await
    }

    fn destination(&self, _: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(self.inner.topic.id.as_str().into())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: Some(self.inner.config.max_message_size),
            duplicate_window: Some(Duration::ZERO),
            order: None,
            marks_redeliveries: None,
            retry_waits_at: Some(RetryWait::Consumer),
        }
    }
}
