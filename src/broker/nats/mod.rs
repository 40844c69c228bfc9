//! NATS, with JetStream: an event is sent when the stream has stored it.
//!
//! An event goes to the subject `{prefix}.{event type}`, in CloudEvents binary mode.
//! `Nats-Msg-Id` is its source and id, by which the server drops what it has stored
//! already within the stream's duplicate window; to the sender that is a success. The
//! guide's chapter [on brokers](crate::guide::brokers) shows it in use.
//!
//! **Subjects.** In a subject, `.` parts tokens, and no token is empty. So a dot that
//! begins or ends the type, or follows another dot, is written `%2E`, and whatever is not
//! printable ASCII, `*`, `>` and `%` are percent-encoded too. The type itself is
//! unchanged in the header `ce-type`.
//!
//! ```no_run
//! use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
//! use integration_automation_patterns::broker::{Ack, Broker, Consumer};
//! use integration_automation_patterns::{Envelope, RawEvent};
//! use std::time::Duration;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = NatsConfig::new("crm");
//! let nats = Nats::new("nats://127.0.0.1:4222", config)?; // connects on first use
//! nats.create_stream(Duration::from_secs(2 * 60)).await?;
//!
//! let lead = RawEvent::new("lead.created", b"{}");
//! let event = Envelope::builder("crm", lead).build()?.dispatch();
//! nats.send(&event).await?; // to crm.lead.created
//!
//! let mut listener = nats.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

mod acker;
mod config;
mod connection;
mod credentials;
mod durable;
mod listener;
mod loss;
mod pull;
mod pulled;
mod sending;
mod servers;
mod stream;
mod subject;
mod unread;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::acker::Acker;
pub use self::config::NatsConfig;
use self::connection::{Connecting, Connection};
pub use self::listener::Listener;
use self::servers::{Servers, Trust};
use self::subject::{NAME, is_name, subject};
use super::link::Link;
use super::{Broker, BrokerError, Capabilities, ConfigError, DeliveryOrder, RetryWait};
use crate::reason::reason;
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

/// A connection to NATS, made when it is first needed and made anew once it is broken. A
/// clone shares it.
#[derive(Clone)]
pub struct Nats {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Servers,
    config: NatsConfig,
    /// Who is trusted where a server speaks TLS, once that was looked up.
    tls: OnceLock<Trust>,
    link: Link<Connection>,
}

impl Nats {
    /// The servers of one cluster, as `nats://user:password@host:4222` or
    /// `tls://token@host:4222`, with commas between them; what has a meaning in an
    /// address (`@ : / , %`) is percent-encoded in a name, a password or a token. Where
    /// one address has the scheme `tls`, no server is spoken to without. Nothing is
    /// connected before it is needed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where an address or a setting is none, and where TLS is asked for
    /// and cannot be had.
    ///
    /// ```
    /// use integration_automation_patterns::broker::nats::{Nats, NatsConfig};
    ///
    /// assert!(Nats::new("127.0.0.1", NatsConfig::new("crm")).is_ok());
    /// let refused = Nats::new("127.0.0.1", NatsConfig::new("crm.leads")).unwrap_err();
    /// assert_eq!((refused.setting(), refused.found()), ("stream", Some("crm.leads")));
    /// ```
    pub fn new(servers: &str, config: NatsConfig) -> Result<Self, ConfigError> {
        let config = config.check()?;
        let servers = Servers::read(servers, &config)?;
        let tls = OnceLock::new();
        if servers.only_tls {
            let config = Servers::client_config(&config);
            let config = config
                .map_err(|error| ConfigError::new("tls", "usable", reason(&error)))?;
            tls.get_or_init(|| Trust { config: Some(config), nobody: None });
        }
        Ok(Self {
            inner: Arc::new(Inner { servers, config, tls, link: Link::default() }),
        })
    }

    /// Creates the stream where it is missing: in files, on one server, without limits,
    /// with every subject that begins with the prefix. A stream that must have more
    /// (replicas, a greatest age) is created by its operator, and left as it is.
    ///
    /// `duplicate_window` is how long the server knows an event that it has stored: what
    /// a relay sends again within it is stored once. It does not stand in for an inbox,
    /// which knows every duplicate for its
    /// [`dedup_window`](crate::inbox::InboxConfig::dedup_window).
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::BrokerErrorKind::Unreachable);
    /// [`Permanent`](super::BrokerErrorKind::Permanent) where a stream of this name has
    /// another window, does not take the subjects in or confirms nothing;
    /// [`Unavailable`](super::BrokerErrorKind::Unavailable) where a permission or
    /// JetStream is missing, or a limit is reached;
    /// [`Transient`](super::BrokerErrorKind::Transient) for whatever else the server
    /// answers.
    pub async fn create_stream(
        &self,
        duplicate_window: Duration,
    ) -> Result<(), BrokerError> {
        self.inner.create_stream(duplicate_window).await
    }

    /// A consumer of the stream, under a durable name and on a connection of its own:
    /// listeners of one name share its events, each name gets them all.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none.
    pub fn listen(&self, durable: impl Into<String>) -> Result<Listener, ConfigError> {
        let durable = durable.into();
        if !is_name(&durable) {
            return Err(ConfigError::new("durable name", NAME, durable));
        }
        Ok(Listener::new(Arc::new(self.inner.apart()), durable))
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Inner {
    /// The same on another connection: what ends the one harms nothing on the other.
    fn apart(&self) -> Self {
        let (servers, config, tls) =
            (self.servers.clone(), self.config.clone(), self.tls.clone());
        Self { servers, config, tls, link: Link::default() }
    }

    async fn connection(&self) -> Result<Connection, BrokerError> {
        let (config, servers) = (&self.config, &self.servers);
        let connecting = Connecting {
            addresses: servers.addresses.clone(),
            credentials: servers.credentials.clone(),
            trust: self.trust(),
            only_tls: servers.only_tls,
            within: config.connect_timeout,
            request_timeout: config.request_timeout,
            told: servers.to_string(),
        };
        // It has a bound of its own, whose reason says where.
        let within = config.connect_timeout.saturating_add(Duration::from_secs(1));
        self.link.get(Connection::is_alive, within, connecting.connect()).await
    }

    /// Who is trusted where a server speaks TLS without being asked to.
    fn trust(&self) -> Trust {
        self.tls.get_or_init(|| Trust::of(Servers::client_config(&self.config))).clone()
    }
}

impl Broker for Nats {
    const SYSTEM: &'static str = "nats";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.inner.publish(event).await
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Some(subject(&self.inner.config.prefix, event.event_type()).into())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: None,
            duplicate_window: None,
            order: Some(DeliveryOrder::Unordered),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Broker),
        }
    }
}
