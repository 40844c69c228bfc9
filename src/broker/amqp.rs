//! RabbitMQ, over AMQP 0.9.1: an event is sent when the server has confirmed it.
//!
//! An event goes to a topic exchange, with its type as routing key, as a persistent message with the flag `mandatory`:
//! one that no queue would get comes back, and is not taken for sent. The attributes of its CloudEvent are headers, and
//! the message's own properties say the same to whoever knows nothing of the standard: `message_id`, `type`,
//! `correlation_id`, `timestamp`, `content_type`. The guide's chapter [on brokers](crate::guide::brokers) shows it in use.
//!
//! ```no_run
//! use integration_automation_patterns::broker::amqp::{Amqp, Settings};
//! use integration_automation_patterns::broker::{Broker, Consumer};
//! use integration_automation_patterns::{Envelope, Untyped};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let amqp = Amqp::new("amqp://guest:guest@127.0.0.1:5672/%2f", Settings::new("crm"))?; // connects when first used
//! amqp.create_queue("erp", &["lead.#"]).await?;
//!
//! let event = Envelope::builder("crm", Untyped::new("lead.created", b"{}")).build()?.dispatch();
//! amqp.send(&event).await?;
//!
//! let mut listener = amqp.listen("erp")?;
//! let delivery = listener.next().await?.ok_or("no delivery")?; // to an inbox
//! # assert_eq!(delivery.facts().event_type(), "lead.created");
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::StreamExt;

use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::uri::AMQPUri;
use lapin::{Acker, BasicProperties, Channel, Confirmation, ConnectionProperties, ErrorKind, ExchangeKind};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::link::Link;
use super::message::{Value, position_of_content, read as read_headers};
use super::{Answer, Broker, Consumer, Delivery, Found, SendError, Unusable};
use crate::cloudevents::{Binding, CloudEvent};
use crate::state::{Dispatched, Pending};
use crate::{Envelope, Facts, Untyped};

/// The longest short text of AMQP 0.9.1: a routing key, a name, most properties.
const LONGEST_SHORT: usize = 255;

/// Room in the frame of headers for the message's properties.
const PROPERTIES: usize = 2048;

/// The longest that a delivery is held back: the server ends a channel with one that is without an answer for 30 minutes.
const LONGEST_HOLD: Duration = Duration::from_secs(10 * 60);

/// How long a listener waits at least between two tries to begin, so that a loop around it does not spin.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// Which exchange, and how long to wait for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing before an adapter has them"]
pub struct Settings {
    exchange: String,
    connect_within: Duration,
    largest: usize,
}

impl Settings {
    /// The exchange of this name; 3 s to connect, and no message larger than 16 MiB.
    ///
    /// A relay waits 10 s for a send where nothing else is said. Stay below it: a send that it gives up counts as an
    /// attempt, and one that finds the server gone does not.
    pub fn new(exchange: impl Into<String>) -> Self {
        Self { exchange: exchange.into(), connect_within: Duration::from_secs(3), largest: 16 * 1024 * 1024 }
    }

    /// How long a connection may take to be made.
    pub fn connect_within(self, connect_within: Duration) -> Self {
        Self { connect_within, ..self }
    }

    /// The most bytes of a payload. Let it be no more than the server's `max_message_size` (16 MiB from RabbitMQ 4.0 on,
    /// 128 MiB before): a larger message ends the channel, and with it every other send that is on its way.
    pub fn largest(self, largest: usize) -> Self {
        Self { largest, ..self }
    }
}

/// A connection to RabbitMQ for sending, made when it is first needed and made anew once it is broken. A clone shares it.
#[derive(Clone)]
pub struct Amqp {
    inner: Arc<Inner>,
}

struct Inner {
    address: AMQPUri,
    settings: Settings,
    link: Link<Arc<Open>>,
}

/// A channel, and the connection that it needs.
struct Open {
    channel: Channel,
    connection: lapin::Connection,
}

impl Open {
    /// A connection without recovery: what was on its way is known to nobody, and so its end is told to each send.
    async fn connect(address: AMQPUri) -> Result<Self, lapin::Error> {
        let name = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = lapin::Connection::connect_uri(address, properties).await?;
        let channel = connection.create_channel().await?;
        Ok(Self { channel, connection })
    }

    fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

impl Amqp {
    /// A server, as `amqp://user:password@host:5672/virtual-host`. Nothing is connected before it is needed.
    ///
    /// For `amqps://`, name `lapin` with one of its features for TLS among the dependencies of the program.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the address or a setting is none.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp::{Amqp, Settings};
    ///
    /// assert!(Amqp::new("amqp://127.0.0.1", Settings::new("crm")).is_ok());
    /// let refused = Amqp::new("127.0.0.1", Settings::new("crm")).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"the address of the server is to be amqp://user:password@host:5672/virtual-host, and found "something else""#
    /// );
    /// ```
    pub fn new(server: &str, settings: Settings) -> Result<Self, Unusable> {
        // What was found is not shown: it may hold a password.
        let mut address: AMQPUri = server.parse().map_err(|_| {
            Unusable::new("address of the server", "amqp://user:password@host:5672/virtual-host", "something else")
        })?;
        // A server that has gone without a word is noticed within two of them.
        address.query.heartbeat.get_or_insert(10);
        is_name("exchange", &settings.exchange)?;
        Ok(Self { inner: Arc::new(Inner { address, settings, link: Link::default() }) })
    }

    /// Declares the exchange: a durable one of the kind `topic`. One that is there with other properties is refused by
    /// the server.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::SendErrorKind::Unreachable), or [`Transient`](super::SendErrorKind::Transient) with what the server answers.
    pub async fn create_exchange(&self) -> Result<(), SendError> {
        let open = self.inner.open().await?;
        self.declare(&open).await.map_err(|error| self.inner.refused(&error))
    }

    /// Declares the exchange and a durable queue, which gets each event whose type matches one of the patterns: words
    /// with dots between, `*` for one, `#` for any number.
    ///
    /// The queue is a classic one, which lives on one server. One that must have more (a quorum of servers, a limit) is
    /// created by its operator; let a quorum queue have no `x-delivery-limit`, or a dead-letter exchange, or the server
    /// drops an event whose effect fails often.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](super::SendErrorKind::Unreachable); [`Permanent`](super::SendErrorKind::Permanent) where a name is too long; [`Transient`](super::SendErrorKind::Transient) with what
    /// the server answers, as for a queue of this name with other properties.
    pub async fn create_queue(&self, queue: &str, patterns: &[&str]) -> Result<(), SendError> {
        let inner = &self.inner;
        let name =
            |text: &str| short(text).ok_or_else(|| SendError::permanent(format!("{TOO_LONG}, and found {text:?}")));
        let (queue, exchange) = (name(queue)?, name(&inner.settings.exchange)?);
        let patterns: Vec<ShortString> = patterns.iter().map(|pattern| name(pattern)).collect::<Result<_, _>>()?;
        let open = inner.open().await?;
        let declare = async {
            self.declare(&open).await?;
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            open.channel.queue_declare(queue.clone(), durable, FieldTable::default()).await?;
            for pattern in patterns {
                let bind = QueueBindOptions::default();
                let bound =
                    open.channel.queue_bind(queue.clone(), exchange.clone(), pattern, bind, FieldTable::default());
                bound.await?;
            }
            Ok(())
        };
        declare.await.map_err(|error| inner.refused(&error))
    }

    async fn declare(&self, open: &Open) -> Result<(), lapin::Error> {
        let exchange = short(&self.inner.settings.exchange).unwrap_or_default();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        open.channel.exchange_declare(exchange, ExchangeKind::Topic, durable, FieldTable::default()).await
    }

    /// A consumer of a queue, on a connection of its own. Listeners of one queue share its events.
    ///
    /// # Errors
    ///
    /// [`Unusable`], where the name is none.
    pub fn listen(&self, queue: impl Into<String>) -> Result<Listener, Unusable> {
        let queue = queue.into();
        is_name("queue", &queue)?;
        Ok(Listener { inner: Arc::clone(&self.inner), queue, unanswered: 100, session: None, not_before: None })
    }
}

impl fmt::Debug for Amqp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Amqp").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

const TOO_LONG: &str = "a name in AMQP has at most 255 bytes";

fn is_name(what: &'static str, name: &str) -> Result<(), Unusable> {
    let is_one = !name.is_empty() && name.len() <= LONGEST_SHORT;
    is_one.then_some(()).ok_or_else(|| Unusable::new(what, "a name of 1 to 255 bytes", name))
}

fn short(text: &str) -> Option<ShortString> {
    ShortString::try_new(text).ok()
}

impl Inner {
    /// The channel that events are sent on.
    async fn open(&self) -> Result<Arc<Open>, SendError> {
        let address = self.address.clone();
        let connect = async move {
            let open = Open::connect(address).await?;
            open.channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(Arc::new(open))
        };
        self.link.get(|open| open.is_alive(), self.settings.connect_within, connect).await
    }

    fn refused(&self, error: &lapin::Error) -> SendError {
        match error.kind() {
            // Found before anything was written.
            ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => {
                SendError::unreachable(error.to_string())
            }
            ErrorKind::SerialisationError(_) => SendError::permanent(error.to_string()),
            _ => SendError::transient(format!("the exchange {}: {error}", self.settings.exchange)),
        }
    }

    async fn publish(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        let (id, timestamp) = (event.id().to_string(), u64::try_from(event.created_at().timestamp()).ok());
        let correlation_id = event.correlation_id().and_then(short);
        let event = CloudEvent::of(event);
        let (found, largest) = (event.data().len(), self.settings.largest);
        if found > largest {
            let reason = format!("a payload has at most {largest} bytes here, and this one has {found}");
            return Err(SendError::permanent(reason));
        }
        let too_long = || SendError::permanent(format!("{TOO_LONG}, and the type of this event has more"));
        let routing_key = short(event.event_type()).ok_or_else(too_long)?;

        let mut headers = FieldTable::default();
        let mut size = PROPERTIES;
        for (name, value) in event.headers(Binding::RabbitMq) {
            size = size.saturating_add(name.len()).saturating_add(value.len()).saturating_add(8);
            let too_long =
                || SendError::permanent(format!("{TOO_LONG}, and that of an attribute of this event has more"));
            headers.insert(short(&name).ok_or_else(too_long)?, AMQPValue::LongString(value.as_ref().into()));
        }
        // 2: kept on disk.
        let mut properties =
            BasicProperties::default().with_delivery_mode(2).with_type(routing_key.clone()).with_headers(headers);
        // What is too long for a property stands in the headers all the same.
        if let Some(id) = short(&id) {
            properties = properties.with_message_id(id);
        }
        if let Some(content_type) = event.content_type().and_then(short) {
            properties = properties.with_content_type(content_type);
        }
        if let Some(correlation_id) = correlation_id {
            properties = properties.with_correlation_id(correlation_id);
        }
        if let Some(timestamp) = timestamp {
            properties = properties.with_timestamp(timestamp);
        }

        let open = self.open().await?;
        let room = usize::try_from(open.connection.configuration().frame_max()).unwrap_or(usize::MAX);
        if size > room {
            let reason =
                format!("the headers of a message have at most {room} bytes, and those of this one have {size}");
            return Err(SendError::permanent(reason));
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = short(&self.settings.exchange).unwrap_or_default();
        let sent = open.channel.basic_publish(exchange, routing_key, options, event.data(), properties).await;
        let confirmed = sent.map_err(|error| self.refused(&error))?.await;
        match confirmed {
            Ok(Confirmation::Ack(None)) => Ok(()),
            // Whoever declares the queue, or binds it, makes the next attempt succeed.
            Ok(Confirmation::Ack(Some(_))) => Err(SendError::transient(format!(
                "no queue gets {} from the exchange {}: declare one, or bind it",
                event.event_type(),
                self.settings.exchange
            ))),
            Ok(_) => Err(SendError::transient("the server could not store the message")),
            Err(error) => {
                Err(SendError::transient(format!("the channel ended before the server had confirmed: {error}")))
            }
        }
    }
}

impl Broker for Amqp {
    const SYSTEM: &'static str = "rabbitmq";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), SendError> {
        self.inner.publish(event).await
    }

    fn destination(&self, event: &Facts<Untyped>) -> Option<Cow<'_, str>> {
        Some(destination(&[&self.inner.settings.exchange, event.event_type()]).into())
    }
}

/// The conventions' name of a destination: exchange, routing key and queue, as far as there are any.
fn destination(parts: &[&str]) -> String {
    let parts = parts.iter().copied().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(":")
}

/// The receiving side: a consumer of one queue with an answer for each message.
///
/// What has no answer when its connection ends is delivered again.
pub struct Listener {
    inner: Arc<Inner>,
    queue: String,
    unanswered: u16,
    session: Option<Session>,
    /// After a failure: when to connect again.
    not_before: Option<Instant>,
}

struct Session {
    open: Arc<Open>,
    messages: lapin::Consumer,
}

impl Listener {
    /// How many deliveries may be without an answer at once: 100 where nothing is said. With 1, the next event comes
    /// only when the one before is answered, so that a retry changes no order.
    #[must_use = "this gives the changed listener back"]
    pub fn unanswered(self, unanswered: u16) -> Self {
        Self { unanswered, ..self }
    }

    async fn begin(&self) -> Result<Session, SendError> {
        let within = self.inner.settings.connect_within;
        let connected = timeout(within, Open::connect(self.inner.address.clone())).await;
        let connected = connected.map_err(|_| SendError::unreachable(format!("no connection within {within:?}")))?;
        let open = connected.map_err(|error| SendError::unreachable(error.to_string()))?;
        let queue = short(&self.queue).unwrap_or_default();
        let consume = async {
            open.channel.basic_qos(self.unanswered.max(1), BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            open.channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await
        };
        let refused = |error: lapin::Error| SendError::transient(format!("the queue {}: {error}", self.queue));
        let messages = consume.await.map_err(refused)?;
        Ok(Session { open: Arc::new(open), messages })
    }
}

impl Consumer for Listener {
    type Answer = Confirm;

    async fn next(&mut self) -> Result<Option<Delivery<Confirm>>, SendError> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                if let Some(at) = self.not_before {
                    sleep_until(at).await;
                }
                self.not_before = Instant::now().checked_add(BETWEEN_TRIES);
                let session = self.begin().await?;
                self.session.insert(session)
            }
        };
        let failed = match session.messages.next().await {
            Some(Ok(message)) => {
                let answer = Confirm { acker: message.acker.clone(), open: Arc::clone(&session.open) };
                let (exchange, key) = (message.exchange.as_str(), message.routing_key.as_str());
                let origin = destination(&[exchange, key, if key == self.queue { "" } else { &self.queue }]);
                let redelivered = message.redelivered;
                let delivery = Delivery::new(read(message, &self.queue), answer).redelivered(redelivered);
                return Ok(Some(delivery.from_broker(Amqp::SYSTEM, Some(origin.into()))));
            }
            Some(Err(error)) => SendError::unreachable(format!("the queue {}: {error}", self.queue)),
            None => SendError::unreachable(format!("the server ended the consumer of the queue {}", self.queue)),
        };
        self.session = None;
        Err(failed)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("queue", &self.queue).finish_non_exhaustive()
    }
}

fn read(message: lapin::message::Delivery, queue: &str) -> Envelope<Pending> {
    let properties = &message.properties;
    let property = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    let message_id = property(properties.message_id()).unwrap_or_default();
    let timestamp = *properties.timestamp();
    // A queue numbers no message. Two messages that are the same in all of this are one to an inbox.
    let position = position_of_content([
        message.exchange.as_str().as_bytes(),
        message.routing_key.as_str().as_bytes(),
        message_id.as_bytes(),
        &timestamp.unwrap_or_default().to_be_bytes(),
        &message.data,
    ]);
    let place = Some(message.routing_key.as_str()).filter(|key| !key.is_empty()).unwrap_or(queue);
    let at = timestamp.and_then(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0));
    let found = Found { place, position: &position, at: at.unwrap_or_else(Utc::now) };

    let mut headers = Vec::new();
    if let Some(content_type) = property(properties.content_type()) {
        headers.push(("content-type".to_owned(), Value::Text(content_type)));
    }
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        if *value != AMQPValue::Void {
            let value = text(value).map_or_else(|| Value::Other(format!("{value:?}")), Value::Text);
            headers.push((name.as_str().to_owned(), value));
        }
    }
    read_headers(Binding::RabbitMq, headers, message.data, &found)
}

/// The text that the standard has for a value.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => str::from_utf8(text.as_bytes()).ok()?.to_owned(),
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(seconds) => {
            let time = DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)?;
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        }
        _ => return None,
    })
}

/// The answer to a delivery of RabbitMQ.
///
/// The protocol answers no answer: one that is lost with its connection makes the event come again, as a duplicate.
pub struct Confirm {
    acker: Acker,
    open: Arc<Open>,
}

const TOO_LATE: &str = "the channel of this delivery has ended, and the server delivers it again";

impl Confirm {
    async fn again(&self) -> Result<(), SendError> {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        told(self.acker.nack(options).await)
    }
}

fn told(told: Result<bool, lapin::Error>) -> Result<(), SendError> {
    match told {
        Ok(true) => Ok(()),
        Ok(false) => Err(SendError::transient(TOO_LATE.to_owned())),
        Err(error) => Err(SendError::transient(format!("{TOO_LATE}: {error}"))),
    }
}

impl Answer for Confirm {
    async fn confirm(self) -> Result<(), SendError> {
        told(self.acker.ack(BasicAckOptions::default()).await)
    }

    /// Holds the delivery back for as long, 10 minutes at the most, and gives it back to the queue then: RabbitMQ itself
    /// cannot wait. It counts as one without an answer meanwhile, and comes again at once where the process ends.
    async fn retry(self, after: Duration) -> Result<(), SendError> {
        if !self.open.is_alive() {
            return Err(SendError::transient(TOO_LATE.to_owned()));
        }
        if after.is_zero() {
            return self.again().await;
        }
        tokio::spawn(async move {
            sleep(after.min(LONGEST_HOLD)).await;
            // Where it fails, the server has the delivery back already.
            let _ = self.again().await;
        });
        Ok(())
    }
}

impl fmt::Debug for Confirm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirm").finish_non_exhaustive()
    }
}
