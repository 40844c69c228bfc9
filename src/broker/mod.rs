//! Brokers: where a relay sends an event, and where a consumer gets it from. One folder for
//! each.
//!
//! A [`Broker`] has one method to write, for the sending side; a [`Consumer`] has one,
//! for the receiving side, and may say how far it is behind ([`Lag`]). Whatever is not
//! here is an `impl` of one's own: the guide's chapter `brokers` writes one.

#[cfg(feature = "amqp")]
#[cfg_attr(docsrs, doc(cfg(feature = "amqp")))]
pub mod amqp;
#[cfg(feature = "amqp1")]
#[cfg_attr(docsrs, doc(cfg(feature = "amqp1")))]
pub mod amqp1;
mod any;
mod capabilities;
mod in_process;
#[cfg(feature = "kafka")]
#[cfg_attr(docsrs, doc(cfg(feature = "kafka")))]
pub mod kafka;
mod lag;
#[cfg(any(
    feature = "amqp",
    feature = "amqp1",
    feature = "kafka",
    feature = "nats",
    feature = "pubsub"
))]
mod link;
mod lost;
#[cfg(feature = "cloudevents")]
mod message;
#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub mod nats;
#[cfg(any(feature = "amqp1", feature = "nats", feature = "webhook"))]
mod percent;
#[cfg(feature = "pubsub")]
#[cfg_attr(docsrs, doc(cfg(feature = "pubsub")))]
pub mod pubsub;
mod routes;
#[cfg(any(feature = "amqp", feature = "amqp1"))]
mod socket;
#[cfg(feature = "sqs")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqs")))]
pub mod sqs;
mod unsettled;
#[cfg(any(
    feature = "amqp",
    feature = "amqp1",
    feature = "nats",
    feature = "pubsub",
    feature = "sqs",
    feature = "webhook"
))]
mod wait;
#[cfg(feature = "webhook")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhook")))]
pub mod webhook;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::any::{AnyAcker, AnyBroker, AnyConsumer};
pub use self::capabilities::{Capabilities, DeliveryOrder, RetryWait, TooLargeError};
pub use self::in_process::{Acker, InProcess, Listener, in_process};
pub use self::lag::Lag;
pub use self::lost::{LOST, Lost};
#[cfg(feature = "cloudevents")]
#[cfg_attr(docsrs, doc(cfg(feature = "cloudevents")))]
pub use self::message::{MessageOrigin, UNREADABLE, read_message};
pub use self::routes::Routes;
// Hidden from rustdoc alone: rustc does not print the names of what is always hidden.
#[cfg_attr(doc, doc(hidden))]
pub use self::unsettled::{KnownToBeNew, Stored};
#[doc(no_inline)]
pub use crate::ConfigError;
use crate::state::{Dispatched, Pending};
use crate::{Envelope, Facts, FailureClass, RawEvent};

/// Where a relay sends events.
///
/// There is no `dyn Broker`, since `send` is asynchronous: a broker that is chosen when
/// the program starts is an [`AnyBroker`].
#[diagnostic::on_unimplemented(
    message = "a relay cannot send to `{Self}`",
    label = "needs a `Broker`: the sending side of an adapter, an `AnyBroker`, or one of your own"
)]
pub trait Broker: Send + Sync + 'static {
    /// What the broker is called in traces, as in `messaging.system`.
    const SYSTEM: &'static str; // for one chosen at run time, take `AnyBroker`

    /// What this one is called: `SYSTEM`, or what was chosen at run time.
    fn system(&self) -> &'static str {
        Self::SYSTEM
    }

    /// Sends an event, and returns when the broker has confirmed that it holds it.
    ///
    /// The relay calls this for many events at once, with a timeout of its own for each,
    /// and drops the call when the time is over: it must not block the thread, or no
    /// timeout holds. The same event may come again: after a failure, a timeout or a
    /// crash.
    ///
    /// # Errors
    ///
    /// [`BrokerError`], whose kind decides what becomes of the event.
    fn send(
        &self,
        event: &Envelope<Dispatched>,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// The queue, topic or subject that an event is sent to, for traces: nothing where
    /// that is not known.
    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        let _ = event;
        None
    }

    /// What this broker can do, as far as the adapter knows; by default it knows nothing.
    fn capabilities(&self) -> Capabilities {
        Capabilities::UNKNOWN
    }
}

/// A broker did not do what it was asked: to take an event, to deliver one, to ack or nack
/// it, or to make a queue or a stream.
///
/// ```
/// use integration_automation_patterns::broker::{BrokerError, BrokerErrorKind};
/// use std::time::Duration;
///
/// let full = BrokerError::unroutable("the queue erp is full")
///     .with_retry_after(Duration::from_secs(30));
/// assert_eq!(full.kind(), BrokerErrorKind::Unroutable);
/// assert_eq!(full.retry_after(), Some(Duration::from_secs(30)));
/// assert_eq!(
///     full.to_string(),
///     "the broker takes no event of this type: the queue erp is full"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerError {
    kind: BrokerErrorKind,
    reason: String,
    retry_after: Option<Duration>,
    loss: Option<Box<Lost>>,
}

/// What an error says about the broker, and where an event was sent, about the event: it
/// decides what becomes of that. The list is complete: a relay handles each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokerErrorKind {
    /// The broker cannot be reached, and nothing was sent. The event is released with its
    /// attempt, and the relay pauses: an outage must not turn every event into a dead
    /// letter.
    Unreachable,
    /// The broker can be reached, and takes nothing from anybody: an alarm blocks
    /// senders, the stream or exchange of all events is missing or full. Nothing was
    /// stored. The event is released with its attempt, and the relay pauses.
    Unavailable,
    /// The broker takes no event of this type, whichever it is: no queue is bound, its
    /// queue is full, its subject is not permitted, the endpoint that it goes to is gone
    /// ([`Routes`]). The event is released with its attempt, and the relay pauses for
    /// events of this type; one of them is tried now and then, and those of other types
    /// go on.
    Unroutable,
    /// This attempt failed, or its confirmation never came; another may succeed.
    Transient,
    /// No attempt can succeed: the event is too large, or the broker refuses it for good.
    Permanent,
}

impl BrokerError {
    /// The broker cannot be reached: [`BrokerErrorKind::Unreachable`].
    pub fn unreachable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unreachable, reason)
    }

    /// The broker takes nothing from anybody: [`BrokerErrorKind::Unavailable`].
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unavailable, reason)
    }

    /// The broker takes no event of this type: [`BrokerErrorKind::Unroutable`].
    pub fn unroutable(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Unroutable, reason)
    }

    /// This attempt failed: [`BrokerErrorKind::Transient`].
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Transient, reason)
    }

    /// No attempt can succeed: [`BrokerErrorKind::Permanent`].
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::new(BrokerErrorKind::Permanent, reason)
    }

    /// Events were deleted before they were read, and what can be done about it:
    /// [`BrokerErrorKind::Permanent`]. The consumer goes on behind them.
    pub fn lost(lost: Lost, advice: &str) -> Self {
        let error = Self::permanent(format!("{lost}; {advice}"));
        Self { loss: Some(Box::new(lost)), ..error }
    }

    fn new(kind: BrokerErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), retry_after: None, loss: None }
    }

    /// Says how long the broker has asked to wait: a pause lasts at least as long, and so
    /// does the wait of an event whose attempt has failed.
    #[must_use = "this returns the changed error; the original is consumed"]
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// What it says about event and place.
    pub const fn kind(&self) -> BrokerErrorKind {
        self.kind
    }

    /// How long the broker has asked to wait, where it has.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What was deleted before it was read, where that is the error.
    pub fn loss(&self) -> Option<&Lost> {
        self.loss.as_deref()
    }

    /// The class of failure that the attempt ends in; nothing where it is not counted.
    pub const fn class(&self) -> Option<FailureClass> {
        match self.kind {
            BrokerErrorKind::Unreachable
            | BrokerErrorKind::Unavailable
            | BrokerErrorKind::Unroutable => None,
            BrokerErrorKind::Transient => Some(FailureClass::Transient),
            BrokerErrorKind::Permanent => Some(FailureClass::Permanent),
        }
    }

    /// What went wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BrokerErrorKind::Unreachable => "cannot reach the broker",
            BrokerErrorKind::Unavailable => "the broker cannot take any event now",
            BrokerErrorKind::Unroutable => "the broker takes no event of this type",
            BrokerErrorKind::Transient => "the broker failed",
            BrokerErrorKind::Permanent => "the broker refused",
        };
        write!(f, "{what}: {}", self.reason)
    }
}

impl std::error::Error for BrokerError {}

/// Where a consumer gets events from. One that is chosen when the program starts is an
/// [`AnyConsumer`].
#[diagnostic::on_unimplemented(
    message = "a worker cannot listen to `{Self}`",
    label = "needs a `Consumer`: what an adapter's `listen` returns, an `AnyConsumer`, or one of your own"
)]
pub trait Consumer: Send {
    /// How a delivery is acked or nacked.
    type Acker: Ack;

    /// The next delivery; nothing where no other will come.
    ///
    /// It makes progress however briefly it is polled: what it has begun (a connection, a
    /// delivery half read) goes on with the next call. So dropped while it waits, as by a
    /// `select!` or a timeout, it loses nothing. The consumer keeps what it has fetched
    /// ahead until the next call; dropped itself, it releases all of that.
    ///
    /// # Errors
    ///
    /// [`BrokerError`]: the connection is gone, and calling again makes a new one where
    /// that is possible. Or events were [deleted](BrokerError::loss) before they were
    /// read, and calling again goes on behind them.
    fn next(
        &mut self,
    ) -> impl Future<Output = Result<Option<Delivery<Self::Acker>>, BrokerError>> + Send;

    /// How far it is behind, in each of the things that it reads; nothing where the
    /// broker does not say.
    ///
    /// The broker is asked, and waited for no longer than some seconds: let a loop ask
    /// now and then, between two deliveries or beside `next` in a `select!`. It takes no
    /// delivery and joins no group, so that a program that only looks may ask too.
    ///
    /// | broker | what is counted |
    /// |---|---|
    /// | Kafka | each partition of the topic, for the whole group: what lies between the last offset that is committed and the end, marks of transactions included |
    /// | NATS | the durable consumer: what was not delivered yet, and what is unacked |
    /// | RabbitMQ | the queue: what was sent to no consumer yet. Each listener has up to its prefetch more |
    /// | SQS | the queue: what is visible, in flight or delayed, as far as SQS knows |
    /// | Pub/Sub | nothing: it is a metric of Cloud Monitoring |
    /// | AMQP 1.0 | nothing: the protocol has no question for it |
    /// | webhooks | what has arrived and was not taken |
    /// | [`InProcess`] | what was sent and not taken |
    /// | `testing::FileBroker` | what is not acked |
    ///
    /// # Errors
    ///
    /// [`BrokerError`]: the broker cannot be reached, does not know what is read, or does
    /// not answer in time.
    fn lag(&mut self) -> impl Future<Output = Result<Vec<Lag>, BrokerError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// How long a delivery may go unacked before the broker delivers it again or takes the
    /// consumer for dead; nothing where no such limit is known.
    ///
    /// A worker whose handlers may take longer is refused.
    ///
    /// | broker | what it is |
    /// |---|---|
    /// | Kafka | `max.poll.interval.ms` |
    /// | NATS | `ack_wait` of the listener, or its default; of a consumer that an operator has given another, tell the listener |
    /// | RabbitMQ | nothing: `consumer_timeout` is a setting of the server, half an hour by default |
    /// | SQS | twelve hours: until then the listener renews the visibility timeout |
    /// | Pub/Sub | `max_lease` of the listener, an hour by default: until then the client renews the deadline |
    /// | AMQP 1.0 | nothing: Azure Service Bus locks a delivery for as long as its queue says, 5 minutes at most |
    /// | webhooks | `answer_timeout` of the endpoint |
    /// | [`InProcess`], `testing::FileBroker` | nothing |
    fn ack_wait(&self) -> Option<Duration> {
        None
    }
}

/// Acks or nacks a delivery.
///
/// Dropped, it nacks the delivery with a delay of about a second: whatever ended the work
/// (a database error, a panic, a timeout, a `select!`), the event comes again, and the
/// consumer never stands still for it.
pub trait Ack: Send + Sync {
    /// The event is dealt with: do not deliver it again.
    #[doc(alias = "acknowledge")]
    fn ack(self) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Deliver it again, not before `after`, where the broker can wait.
    #[doc(alias("requeue", "negative acknowledgement"))]
    fn nack(
        self,
        after: Duration,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send;
}

/// An event as the broker delivers it, not yet handled, and what acks or nacks it.
///
/// An [inbox](crate::inbox) finds out whether its event is new, and only then hands the
/// event out; the delivery is acked only with the proof that the result is stored.
#[must_use = "a delivery that is dropped is delivered again"]
pub struct Delivery<A> {
    event: Envelope<Pending>,
    acker: A,
    origin: Origin,
    redelivered: bool,
}

/// Where a delivery comes from, for traces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    pub(crate) system: Option<&'static str>,
    pub(crate) destination: Option<Arc<str>>,
}

impl<A> Delivery<A> {
    /// A delivery, as an adapter makes it from the broker's message.
    pub const fn new(event: Envelope<Pending>, acker: A) -> Self {
        Self {
            event,
            acker,
            origin: Origin { system: None, destination: None },
            redelivered: false,
        }
    }

    /// Says where it comes from, for traces: what the broker is called, as of
    /// [`Broker::SYSTEM`], and the queue, topic or subject, where there is one.
    #[must_use = "this returns the changed delivery; the original is consumed"]
    pub fn from_broker(
        mut self,
        system: &'static str,
        destination: Option<Arc<str>>,
    ) -> Self {
        self.origin = Origin { system: Some(system), destination };
        self
    }

    /// Says whether the broker has delivered it before, or may have, and got no ack. For
    /// such a delivery the inbox counts the attempt before the handler runs, so that a
    /// handler that ends its process comes to an end itself
    /// ([`inbox`](crate::inbox#a-handler-that-ends-its-process)).
    ///
    /// | broker | what says so |
    /// |---|---|
    /// | RabbitMQ | the flag `redelivered` of the message |
    /// | AMQP 1.0 | nothing that survives the death of a server. So the listener says it of each delivery |
    /// | NATS | the server's count of the message's deliveries |
    /// | Kafka | nothing. So the listener says it of what it reads again, and of the first message of each partition that it is assigned, where a restarted consumer begins |
    /// | SQS | the queue's count of the message's receives |
    /// | Pub/Sub | its count of attempts, on a subscription with a dead-letter policy. On any other nothing: so the listener says it of each |
    /// | webhooks | nothing. So the endpoint says it of each |
    /// | [`InProcess`] | the attempts that the sender has counted |
    /// | `testing::FileBroker` | what it stores with each delivery |
    ///
    /// Where a broker cannot know, say it of a delivery too many: that costs a commit,
    /// and nothing else.
    ///
    /// ```
    /// use integration_automation_patterns::broker::Delivery;
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let event =
    ///     Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}")).build()?;
    /// let delivery = Delivery::new(event, ());
    /// assert!(!delivery.is_redelivered());
    /// assert!(delivery.redelivered(true).is_redelivered());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "this returns the changed delivery; the original is consumed"]
    pub fn redelivered(self, redelivered: bool) -> Self {
        Self { redelivered, ..self }
    }

    /// The same delivery, acked and nacked in another way.
    fn map_acker<B>(self, acker: impl FnOnce(A) -> B) -> Delivery<B> {
        let Self { event, acker: old, origin, redelivered } = self;
        Delivery { event, acker: acker(old), origin, redelivered }
    }

    /// Whether the broker has delivered it before, or may have.
    pub const fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    /// What the event says about itself.
    pub fn facts(&self) -> &Facts<RawEvent> {
        &self.event
    }

    /// What the broker is called, where it is known.
    pub const fn system(&self) -> Option<&'static str> {
        self.origin.system
    }

    /// The queue, topic or subject that it was taken from, where it is known.
    pub fn destination(&self) -> Option<&str> {
        self.origin.destination.as_deref()
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn to_record(&self) -> crate::Record {
        self.event.to_record()
    }

    #[cfg(feature = "tracing")]
    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn into_parts(self) -> (Envelope<Pending>, A) {
        (self.event, self.acker)
    }
}

impl<A> fmt::Debug for Delivery<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("origin", &self.origin)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// The event as its consumer begins with it: what it says about itself, and nothing of
/// how it was sent.
pub(crate) fn as_sent(event: &Facts<RawEvent>) -> Result<Envelope<Pending>, BrokerError> {
    let payload = event.payload().clone();
    let mut builder = Envelope::builder(event.source_system().to_owned(), payload)
        .id(event.id().clone());
    if let Some(correlation_id) = event.correlation_id() {
        builder = builder.correlation_id(correlation_id);
    }
    for (key, value) in event.tags() {
        builder = builder.tag(key, value);
    }
    builder
        .build_at(event.created_at())
        .map_err(|refused| BrokerError::permanent(refused.to_string()))
}
