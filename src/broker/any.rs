//! A broker chosen when the program starts: `AnyBroker` to send to, `AnyConsumer` to
//! listen to, and `AnyAcker` for its deliveries.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{Ack, Broker, BrokerError, Capabilities, Consumer, Delivery, Lag};
use crate::state::Dispatched;
use crate::{Envelope, Facts, RawEvent};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, BrokerError>> + Send + 'a>>;

/// Any [`Broker`], with its type erased: for a program that reads its broker from its
/// configuration.
///
/// Each send costs one more allocation.
///
/// ```
/// use integration_automation_patterns::broker::{
///     AnyBroker, AnyConsumer, Broker, BrokerError, in_process,
/// };
///
/// fn connect(kind: &str) -> Result<(AnyBroker, AnyConsumer), BrokerError> {
///     match kind {
///         "in_process" => {
///             let (broker, listener) = in_process(16);
///             Ok((AnyBroker::new(broker), AnyConsumer::new(listener)))
///         }
///         // "nats" => .., "amqp" => .., "kafka" => ..
///         _ => Err(BrokerError::permanent(format!("there is no broker {kind:?}"))),
///     }
/// }
///
/// assert_eq!(connect("in_process")?.0.system(), "in_process");
/// assert!(connect("nets").is_err());
/// # Ok::<(), BrokerError>(())
/// ```
#[doc(alias("dyn Broker", "BoxBroker"))]
pub struct AnyBroker(Box<dyn DynBroker>);

impl AnyBroker {
    /// Erases the type of a broker.
    pub fn new(broker: impl Broker) -> Self {
        Self(Box::new(broker))
    }
}

impl Broker for AnyBroker {
    /// A placeholder: [`system`](Broker::system) names the chosen broker.
    const SYSTEM: &'static str = "any";

    fn system(&self) -> &'static str {
        self.0.system()
    }

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        self.0.send(event).await
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        self.0.destination(event)
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

impl fmt::Debug for AnyBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyBroker").field(&self.0.system()).finish()
    }
}

/// Any [`Consumer`], with its type erased: the twin of [`AnyBroker`].
#[doc(alias("dyn Consumer", "BoxConsumer"))]
pub struct AnyConsumer(Box<dyn DynConsumer>);

impl AnyConsumer {
    /// Erases the type of a consumer, and that of its ackers.
    pub fn new(consumer: impl Consumer<Acker: 'static> + 'static) -> Self {
        Self(Box::new(consumer))
    }
}

impl Consumer for AnyConsumer {
    type Acker = AnyAcker;

    async fn next(&mut self) -> Result<Option<Delivery<AnyAcker>>, BrokerError> {
        self.0.next().await
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        self.0.lag().await
    }

    fn ack_wait(&self) -> Option<Duration> {
        self.0.ack_wait()
    }
}

impl fmt::Debug for AnyConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyConsumer").finish_non_exhaustive()
    }
}

/// Acks or nacks a delivery of an [`AnyConsumer`].
pub struct AnyAcker(Box<dyn DynAck>);

impl Ack for AnyAcker {
    async fn ack(self) -> Result<(), BrokerError> {
        self.0.ack().await
    }

    async fn nack(self, after: Duration) -> Result<(), BrokerError> {
        self.0.nack(after).await
    }
}

impl fmt::Debug for AnyAcker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyAcker").finish_non_exhaustive()
    }
}

/// The dyn-compatible form of [`Broker`].
trait DynBroker: Send + Sync {
    fn system(&self) -> &'static str;

    fn send<'a>(&'a self, event: &'a Envelope<Dispatched>) -> Boxed<'a, ()>;

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>>;

    fn capabilities(&self) -> Capabilities;
}

impl<B: Broker> DynBroker for B {
    fn system(&self) -> &'static str {
        Broker::system(self)
    }

    fn send<'a>(&'a self, event: &'a Envelope<Dispatched>) -> Boxed<'a, ()> {
        Box::pin(Broker::send(self, event))
    }

    fn destination(&self, event: &Facts<RawEvent>) -> Option<Cow<'_, str>> {
        Broker::destination(self, event)
    }

    fn capabilities(&self) -> Capabilities {
        Broker::capabilities(self)
    }
}

/// The dyn-compatible form of [`Consumer`].
trait DynConsumer: Send {
    fn next(&mut self) -> Boxed<'_, Option<Delivery<AnyAcker>>>;

    fn lag(&mut self) -> Boxed<'_, Vec<Lag>>;

    fn ack_wait(&self) -> Option<Duration>;
}

impl<C: Consumer<Acker: 'static>> DynConsumer for C {
    fn next(&mut self) -> Boxed<'_, Option<Delivery<AnyAcker>>> {
        Box::pin(async {
            let delivery = Consumer::next(self).await?;
            Ok(delivery.map(|one| one.map_acker(|acker| AnyAcker(Box::new(acker)))))
        })
    }

    fn lag(&mut self) -> Boxed<'_, Vec<Lag>> {
        Box::pin(Consumer::lag(self))
    }

    fn ack_wait(&self) -> Option<Duration> {
        Consumer::ack_wait(self)
    }
}

/// The dyn-compatible form of [`Ack`].
trait DynAck: Send + Sync {
    fn ack(self: Box<Self>) -> Boxed<'static, ()>;

    fn nack(self: Box<Self>, after: Duration) -> Boxed<'static, ()>;
}

impl<A: Ack + 'static> DynAck for A {
    fn ack(self: Box<Self>) -> Boxed<'static, ()> {
        Box::pin(Ack::ack(*self))
    }

    fn nack(self: Box<Self>, after: Duration) -> Boxed<'static, ()> {
        Box::pin(Ack::nack(*self, after))
    }
}
