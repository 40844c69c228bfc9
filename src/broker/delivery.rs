//! `Delivery`: an event as a broker delivers it, with what acks or nacks it.

use std::fmt;
use std::sync::Arc;

use crate::state::Pending;
use crate::{Envelope, Facts, RawEvent};

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
    /// [`Broker::SYSTEM`](super::Broker::SYSTEM), and the queue, topic or subject, where
    /// there is one.
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
    /// | [`InProcess`](super::InProcess) | the attempts that the sender has counted |
    /// | `testing::FileBroker` | what it stores with each delivery |
    ///
    /// Where a broker cannot know, say it of a delivery too many: that costs a commit, of
    /// a worker one commit for many deliveries, and nothing else.
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
    pub(super) fn map_acker<B>(self, acker: impl FnOnce(A) -> B) -> Delivery<B> {
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
