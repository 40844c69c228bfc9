//! The receiving side: a consumer of one queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Channel;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::acker::{Acker, again};
use super::address::{Server, short};
use super::connection::{Connection, Line};
use super::declaring::ready;
use super::reading::read;
use super::refusal::Unanswered;
use super::{Amqp, destination};
use crate::broker::link::Beginning;
use crate::broker::{Broker, BrokerError, ConfigError, Consumer, Delivery, Lag};
use crate::reason::reason;

/// How long what was sent ahead to a listener that is dropped may take to be requeued.
const TO_GIVE_BACK: Duration = Duration::from_secs(5);

/// The receiving side: a consumer of one queue that acks each message.
///
/// What is unacked when its connection ends is delivered again.
pub struct Listener {
    server: Server,
    within: Duration,
    queue: String,
    prefetch: u16,
    beginning: Beginning<Session>,
    session: Option<Session>,
}

struct Session {
    subscription: Arc<Subscription>,
    messages: lapin::Consumer,
}

/// The channel that deliveries come on, and on which they are acked.
pub(super) struct Subscription {
    channel: Channel,
    connection: Connection,
}

impl Subscription {
    pub(super) const fn line(&self) -> &Line {
        self.connection.line()
    }
}

impl Listener {
    pub(super) fn new(server: Server, within: Duration, queue: String) -> Self {
        Self {
            server,
            within,
            queue,
            prefetch: 100,
            beginning: Beginning::default(),
            session: None,
        }
    }

    /// How many deliveries may be unacked at once; the default is 100. With 1, the next
    /// event comes only when the one before is acked, so that a retry changes no order.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is 0: that is no bound to the server.
    ///
    /// ```
    /// use integration_automation_patterns::broker::amqp::{Amqp, AmqpConfig};
    ///
    /// let listener =
    ///     Amqp::new("amqp://127.0.0.1", AmqpConfig::new("crm"))?.listen("erp")?;
    /// let refused = listener.prefetch(0).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     r#"the prefetch: expected 1 or more, found "0""#
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "QoS")]
    pub fn prefetch(self, prefetch: u16) -> Result<Self, ConfigError> {
        if prefetch == 0 {
            return Err(ConfigError::new("prefetch", "1 or more", "0"));
        }
        Ok(Self { prefetch, ..self })
    }
}

async fn begin(
    server: Server,
    within: Duration,
    queue: String,
    prefetch: u16,
) -> Result<Session, BrokerError> {
    let connection =
        Connection::make(&server, within).await.map_err(BrokerError::unreachable)?;
    let line = connection.line().clone();
    let about =
        |error: Unanswered| error.about(&format!("the queue {queue} of {server}"));
    let channel = line.channel().await.map_err(about)?;
    line.answer(channel.basic_qos(prefetch, BasicQosOptions::default()))
        .await
        .map_err(about)?;
    let name = short(&queue).unwrap_or_default();
    let consume = channel.basic_consume(
        name,
        ShortString::default(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let messages = line.answer(consume).await.map_err(about)?;
    Ok(Session { subscription: Arc::new(Subscription { channel, connection }), messages })
}

impl Consumer for Listener {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let begin = begin(
                    self.server.clone(),
                    self.within,
                    self.queue.clone(),
                    self.prefetch,
                );
                // Each step has an end of its own: this one is for all of them.
                let begun =
                    self.beginning.session(self.within.saturating_mul(5), begin).await?;
                self.session.insert(begun)
            }
        };
        let told = tokio::select! {
            biased;
            message = session.messages.next() => match message {
                Some(message) => message.map_err(|error| reason(&error)),
                None => Err("the server has ended the consumer".to_owned()),
            },
            why = session.subscription.line().ended() => Err(why),
        };
        let failed = match told {
            Ok(message) => {
                let answer =
                    Acker::new(message.acker.clone(), Arc::clone(&session.subscription));
                let (exchange, key) =
                    (message.exchange.as_str(), message.routing_key.as_str());
                let origin = destination(&[
                    exchange,
                    key,
                    if key == self.queue { "" } else { &self.queue },
                ]);
                let redelivered = message.redelivered;
                let delivery = Delivery::new(read(message, &self.queue), answer)
                    .redelivered(redelivered);
                return Ok(Some(delivery.from_broker(Amqp::SYSTEM, Some(origin.into()))));
            }
            Err(failed) => failed,
        };
        self.session = None;
        Err(BrokerError::unreachable(format!(
            "the queue {} of {}: {failed}",
            self.queue, self.server
        )))
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let queue = short(&self.queue).unwrap_or_default();
        let ready = match &self.session {
            Some(session) => ready(session.subscription.line(), &queue).await,
            None => {
                let connection = Connection::make(&self.server, self.within)
                    .await
                    .map_err(BrokerError::unreachable)?;
                ready(connection.line(), &queue).await
            }
        };
        let about = |error: Unanswered| {
            error.about(&format!("the queue {} of {}", self.queue, self.server))
        };
        Ok(vec![Lag::new(format!("queue {}", self.queue), ready.map_err(about)?.into())])
    }
}

impl Drop for Session {
    /// What was sent ahead goes back to the queue with the connection; and where an
    /// answer of this session is alive elsewhere, which needs the connection, before.
    fn drop(&mut self) {
        if Arc::strong_count(&self.subscription) == 1 {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (subscription, mut messages) =
            (Arc::clone(&self.subscription), self.messages.clone());
        runtime.spawn(async move {
            let release = async {
                subscription
                    .channel
                    .basic_cancel(messages.tag(), BasicCancelOptions::default())
                    .await?;
                while let Some(message) = messages.next().await {
                    message?.nack(again()).await?;
                }
                Ok::<_, lapin::Error>(())
            };
            // Where it fails, the connection has ended, and the server has all of it.
            let _ = timeout(TO_GIVE_BACK, release).await;
        });
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("queue", &self.queue).finish_non_exhaustive()
    }
}
