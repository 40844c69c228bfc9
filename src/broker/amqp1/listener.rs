//! The receiving side: a consumer of one queue or subscription.

use std::fmt;
use std::sync::Arc;

use super::acker::Acker;
use super::config::{Amqp1Config, is_name};
use super::receiving::{Arriving, Reads, attach};
use super::server::Server;
use crate::broker::link::Beginning;
use crate::broker::{BrokerError, BrokerErrorKind, ConfigError, Consumer, Delivery};

/// The receiving side: a consumer of one queue or subscription that acks each message.
///
/// What is unacked when its connection ends is delivered again. Each delivery says that
/// it may be one again: no server of this protocol keeps a count of all of them.
///
/// A message that the client cannot decode is rejected, and `next` says so with a
/// [`Permanent`](BrokerErrorKind::Permanent) error: the consumer goes on behind it.
pub struct Listener {
    server: Arc<Server>,
    reads: Reads,
    beginning: Beginning<Arriving>,
    arriving: Option<Arriving>,
}

impl Listener {
    pub(super) fn new(
        server: Arc<Server>,
        config: &Amqp1Config,
        address: String,
    ) -> Self {
        let reads = Reads {
            address,
            kind: config.kind,
            session: None,
            nack_as: config.nack_as,
            prefetch: 100,
            within: config.connect_timeout,
        };
        Self { server, reads, beginning: Beginning::default(), arriving: None }
    }

    /// How many deliveries may be unacked at once; the default is 100. With 1, the next
    /// event comes only when the one before is acked, so that a retry changes no order.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is 0: then nothing would come.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp1::{Amqp1, Amqp1Config};
    ///
    /// let orders = Amqp1::new("amqp://127.0.0.1", Amqp1Config::queue("orders"))?;
    /// let refused = orders.listen("orders")?.prefetch(0).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"the prefetch: expected 1 or more, found "0""#
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "link credit")]
    pub fn prefetch(mut self, prefetch: u16) -> Result<Self, ConfigError> {
        if prefetch == 0 {
            return Err(ConfigError::new("prefetch", "1 or more", "0"));
        }
        self.reads.prefetch = prefetch;
        Ok(self)
    }

    /// Reads the events of one session, of a queue of Azure Service Bus that wants
    /// sessions. A session is called as the ordering key of its events.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where the name is none.
    pub fn session(mut self, session: impl Into<String>) -> Result<Self, ConfigError> {
        let session = session.into();
        is_name("session", &session)?;
        self.reads.session = Some(session);
        Ok(self)
    }
}

impl Consumer for Listener {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        let arriving = match &mut self.arriving {
            Some(arriving) => arriving,
            None => {
                let (server, reads) = (Arc::clone(&self.server), self.reads.clone());
                let begin = async move { attach(&server, reads).await };
                // Each step has an end of its own: this one is for all of them.
                let at_the_latest = self.reads.within.saturating_mul(5);
                self.arriving.insert(self.beginning.session(at_the_latest, begin).await?)
            }
        };
        let error = match arriving.deliveries.recv().await {
            Some(Ok(delivery)) => return Ok(Some(delivery)),
            // Of one message; the next ones come on the same link.
            Some(Err(error)) if error.kind() == BrokerErrorKind::Permanent => {
                return Err(error);
            }
            Some(Err(error)) => error,
            None => BrokerError::unreachable(format!(
                "{} of {}: the link has ended",
                self.reads.address, self.server
            )),
        };
        self.arriving = None;
        Err(error)
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.reads.address;
        f.debug_struct("Listener").field("address", address).finish_non_exhaustive()
    }
}
