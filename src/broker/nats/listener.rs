//! Listening: a durable consumer's messages as deliveries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::acker::Acker;
use super::config::check_wait;
use super::durable::{DEFAULT_ACK_WAIT, Durable};
use super::pull::Pull;
use super::subject::{PATTERN, is_pattern};
use super::unread::Unread;
use super::{Inner, Nats};
use crate::broker::link::Beginning;
use crate::broker::{
    Broker, BrokerError, BrokerErrorKind, ConfigError, Consumer, Delivery, Lag,
};

/// The receiving side: a durable pull consumer that acks each message.
///
/// What is unacked after [`ack_wait`](Self::ack_wait) is delivered again, to any listener
/// of the name. A delivery that is dropped comes again in a second; what a dropped
/// listener had fetched, at once.
///
/// The consumer is created where it is missing, and left as it is where it is there: a
/// setting that is not made here is as its operator has made it. One that is made and
/// differs is refused, by [`next`](Consumer::next).
pub struct Listener {
    inner: Arc<Inner>,
    durable: Durable,
    beginning: Beginning<Pull>,
    session: Option<Pull>,
    unread: Arc<Unread>,
    /// Whether the last session was cut off.
    interrupted: bool,
}

impl Listener {
    pub(super) fn new(inner: Arc<Inner>, name: String) -> Self {
        let (stream, prefix) = (inner.config.stream.clone(), inner.config.prefix.clone());
        let durable = Durable {
            stream,
            name,
            prefix,
            only: None,
            ack_wait: None,
            max_ack_pending: None,
        };
        let (beginning, unread) = (Beginning::default(), Arc::default());
        Self { inner, durable, beginning, session: None, unread, interrupted: false }
    }

    /// Only event types of this pattern, as subjects have them behind the prefix:
    /// `lead.created`, `lead.*`, `lead.>`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is no pattern of subjects.
    pub fn filter_subject(
        mut self,
        pattern: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let pattern = pattern.into();
        if !is_pattern(&pattern) {
            return Err(ConfigError::new("filter_subject", PATTERN, pattern));
        }
        self.durable.only = Some(pattern);
        Ok(self)
    }

    /// How long the server waits for an ack before it delivers again; the default is 30 s.
    ///
    /// It waits from the moment that it sends a delivery, and a listener fetches 8 ahead,
    /// or [`max_ack_pending`](Self::max_ack_pending) where that is less: so let it be
    /// longer than 8 handlers take.
    ///
    /// A consumer with a back-off waits as long as that says: one whose least is another
    /// time is refused.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is less than a tenth of a second or more than a year.
    #[doc(alias = "visibility timeout")]
    pub fn ack_wait(mut self, ack_wait: Duration) -> Result<Self, ConfigError> {
        check_wait("ack_wait", ack_wait, Duration::from_millis(100))?;
        self.durable.ack_wait = Some(ack_wait);
        Ok(self)
    }

    /// How many deliveries may be unacked at once, over all listeners of the name; the
    /// default is 100. With 1, the next event comes only when the one before is acked, so
    /// that a retry changes no order.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is none.
    #[doc(alias = "prefetch")]
    pub fn max_ack_pending(mut self, max_ack_pending: u16) -> Result<Self, ConfigError> {
        if max_ack_pending == 0 {
            return Err(ConfigError::new("max_ack_pending", "1 or more", "0"));
        }
        self.durable.max_ack_pending = Some(max_ack_pending);
        Ok(self)
    }
}

impl Consumer for Listener {
    type Acker = Acker;

    fn ack_wait(&self) -> Option<Duration> {
        Some(self.durable.ack_wait.unwrap_or(DEFAULT_ACK_WAIT))
    }

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let config = &self.inner.config;
                // A look at the consumer, its creation, and a look at what nobody could
                // read.
                let within = config
                    .connect_timeout
                    .saturating_add(config.request_timeout.saturating_mul(4));
                let begin = Pull::begin(
                    Arc::clone(&self.inner),
                    self.durable.clone(),
                    Arc::clone(&self.unread),
                    self.interrupted,
                );
                let session = self.beginning.session(within, begin).await?;
                self.interrupted = false;
                self.session.insert(session)
            }
        };
        match session.next().await {
            Ok(pulled) => {
                let unread =
                    pulled.unread.map(|sequence| (Arc::clone(&self.unread), sequence));
                let acker = Acker::new(
                    Arc::clone(&self.inner),
                    session.releasing.clone(),
                    pulled.reply,
                    unread,
                );
                let delivery =
                    Delivery::new(pulled.event, acker).redelivered(pulled.redelivered);
                Ok(Some(delivery.from_broker(Nats::SYSTEM, Some(pulled.subject))))
            }
            // It goes on behind what is gone.
            Err(lost) if lost.loss().is_some() => Err(lost),
            Err(failed) => {
                self.session = None;
                self.interrupted = failed.kind() == BrokerErrorKind::Unreachable;
                Err(failed)
            }
        }
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let connection = self.inner.connection().await?;
        Ok(vec![self.durable.lag(&connection).await?])
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("durable", &self.durable).finish_non_exhaustive()
    }
}
