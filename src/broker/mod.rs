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
mod delivery;
mod error;
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
use std::future::Future;
use std::time::Duration;

pub use self::any::{AnyAcker, AnyBroker, AnyConsumer};
pub use self::capabilities::{Capabilities, DeliveryOrder, RetryWait, TooLargeError};
pub use self::delivery::Delivery;
#[cfg(feature = "tracing")]
pub(crate) use self::delivery::Origin;
pub use self::error::{BrokerError, BrokerErrorKind};
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
use crate::{Envelope, Facts, RawEvent};

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
