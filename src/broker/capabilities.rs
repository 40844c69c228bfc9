//! `Capabilities`: what a broker can do, as data, for settings, for who enqueues, and for
//! the guide's table.

use std::fmt;
use std::time::Duration;

use crate::state::Pending;
use crate::{Envelope, EventId, Refused};

/// What a broker can do. `None` stands for what an adapter does not know, mostly since
/// the server's operator sets it.
///
/// It is plain data: a program that only enqueues states what it knows, and needs no
/// connection.
///
/// ```
/// use integration_automation_patterns::broker::{Broker, Capabilities, in_process};
///
/// let (broker, _listener) = in_process(16);
/// let server = Capabilities { max_message_size: Some(1 << 20), ..broker.capabilities() };
/// assert_eq!(server.max_message_size, Some(1_048_576));
/// assert_eq!(Capabilities::UNKNOWN, Capabilities::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    /// The most bytes of a message.
    pub max_message_size: Option<usize>,
    /// How long the broker drops an event that it has stored before; zero where it never
    /// does. It replaces no inbox, and it also drops what a person sends again.
    pub duplicate_window: Option<Duration>,
    /// Which order survives a retry, with several consumers.
    pub order: Option<DeliveryOrder>,
    /// Whether the broker knows what it has delivered before. Where it does not, the
    /// adapter reports a redelivery too many
    /// ([`Delivery::redelivered`](super::Delivery::redelivered)).
    pub marks_redeliveries: Option<bool>,
    /// Who holds a delivery that was nacked until its delay is over.
    pub retry_waits_at: Option<RetryWait>,
}

/// The order in which a broker delivers, retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOrder {
    /// None: while one event waits for its retry, later ones pass it. A worker that
    /// [keeps the order](crate::guide::consuming#order) restores it.
    Unordered,
    /// Of the events of one ordering key.
    ByKey,
    /// Of all events.
    Whole,
}

/// Who holds a delivery until its retry is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryWait {
    /// The broker. The delay outlasts the consumer's process.
    Broker,
    /// The consumer. If its process ends, the delivery comes again at once.
    Consumer,
    /// The sender, which gets the delay as its answer.
    Sender,
}

impl Capabilities {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        max_message_size: None,
        duplicate_window: None,
        order: None,
        marks_redeliveries: None,
        retry_waits_at: None,
    };

    /// What two brokers have in common.
    pub(super) fn in_common(self, other: Self) -> Self {
        fn same<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.filter(|one| other.as_ref() == Some(one))
        }
        Self {
            max_message_size: same(self.max_message_size, other.max_message_size),
            duplicate_window: same(self.duplicate_window, other.duplicate_window),
            order: same(self.order, other.order),
            marks_redeliveries: same(self.marks_redeliveries, other.marks_redeliveries),
            retry_waits_at: same(self.retry_waits_at, other.retry_waits_at),
        }
    }

    /// Refuses an event that no message can hold. Call it in the business transaction,
    /// before `enqueue`: a refusal there rolls the business change back, and a refusal by
    /// the broker, later, makes a dead letter.
    ///
    /// It counts the bytes of the payload and of what the event says about itself. A
    /// message has some more (names of headers, escapes, base64 in JSON), so the broker
    /// may still refuse an event that is just below the limit.
    ///
    /// # Errors
    ///
    /// [`TooLargeError`], with the event given back.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// use integration_automation_patterns::broker::Capabilities;
    /// use integration_automation_patterns::outbox::{Enqueued, sqlite};
    /// use integration_automation_patterns::{Envelope, RawEvent};
    ///
    /// let broker =
    ///     Capabilities { max_message_size: Some(1000), ..Capabilities::UNKNOWN };
    /// let mut crm = rusqlite::Connection::open_in_memory()?;
    /// sqlite::install(&mut crm)?;
    /// let business = crm.transaction()?;
    ///
    /// let lead = RawEvent::new("crm.lead.created", br#"{"lead":7}"#);
    /// let event = broker.check_size(Envelope::builder("crm", lead).build()?)?;
    /// assert_eq!(sqlite::enqueue(&business, event)?, Enqueued::New);
    ///
    /// let scan = RawEvent::new("crm.contract.scanned", vec![0; 5000]);
    /// let scan = Envelope::builder("crm", scan).id("scan-1".parse()?).build()?;
    /// let refused = broker.check_size(scan).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "the event scan-1 has at least 5029 bytes, and the broker takes at most 1000: \
    ///      store the payload elsewhere, and send a reference to it"
    /// );
    /// assert_eq!(refused.into_value().payload().bytes().len(), 5000);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check_size(
        &self,
        event: Envelope<Pending>,
    ) -> Result<Envelope<Pending>, Refused<Envelope<Pending>, TooLargeError>> {
        let Some(at_most) = self.max_message_size else { return Ok(event) };
        let size = size(&event);
        if size <= at_most {
            return Ok(event);
        }
        let error = TooLargeError { event: event.id().clone(), size, at_most };
        Err(Refused::new(event, error))
    }
}

/// The bytes of what every message of this event holds.
fn size(event: &Envelope<Pending>) -> usize {
    let id = event.id().to_string();
    let said = [id.as_str(), event.event_type(), event.source_system()];
    let tags = event.tags().iter().flat_map(|(name, value)| [name.as_str(), value]);
    said.into_iter()
        .chain(event.correlation_id())
        .chain(event.ordering_key())
        .chain(tags)
        .fold(event.payload().bytes().len(), |size, text| size.saturating_add(text.len()))
}

/// An event is larger than any message that its broker takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooLargeError {
    /// The event.
    pub event: EventId,
    /// The bytes that it has at least.
    pub size: usize,
    /// The most bytes of a message.
    pub at_most: usize,
}

impl fmt::Display for TooLargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { event, size, at_most } = self;
        write!(
            f,
            "the event {event} has at least {size} bytes, and the broker takes at most \
             {at_most}: store the payload elsewhere, and send a reference to it"
        )
    }
}

impl std::error::Error for TooLargeError {}
