//! Listening: the messages of a subscription as deliveries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::hold::Hold;
use super::pulling::{Reads, pull};
use super::server::Server;
use super::{Acker, PubSub};
use crate::broker::{Broker, BrokerError, ConfigError, Consumer, Delivery};
use crate::reason::reason;

/// The receiving side: a consumer of one subscription that acks each message.
///
/// A task of its own reads the stream. While a message waits or is in hand, the client
/// renews its deadline. Of one ordering key, one message at a time is handed out, so that
/// a retry changes no order.
///
/// Dropped, it gives back what it had fetched, which takes a moment; [`close`](Self::close)
/// waits for that. If the process ends before, such a message comes again when its deadline
/// is over.
pub struct Listener {
    server: Arc<Server>,
    subscription: Arc<str>,
    reads: Reads,
    pulling: Option<Pulling>,
}

/// What it holds, and the task that pulls.
struct Pulling {
    hold: Arc<Hold>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn new(server: Arc<Server>, subscription: String) -> Self {
        Self {
            server,
            subscription: subscription.into(),
            reads: Reads {
                max_outstanding: 100,
                ack_deadline: Duration::from_secs(60),
                max_lease: Duration::from_secs(60 * 60),
            },
            pulling: None,
        }
    }

    /// How many messages may be unacked at once; the default is 100. Those that wait for
    /// their retry are among them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is 0: then nothing would come.
    #[doc(alias("flow control", "prefetch"))]
    pub fn max_outstanding(mut self, messages: u16) -> Result<Self, ConfigError> {
        if messages == 0 {
            return Err(ConfigError::new("max_outstanding", "1 or more", "0"));
        }
        self.reads.max_outstanding = messages;
        Ok(self)
    }

    /// How long nobody else gets a message whose consumer has died; the default is 60 s,
    /// whatever the subscription says. The client renews it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is less than 10 s or more than 10 minutes, or no whole
    /// number of seconds.
    #[doc(alias = "ack_wait")]
    pub fn ack_deadline(mut self, deadline: Duration) -> Result<Self, ConfigError> {
        let is_allowed = (10..=600).contains(&deadline.as_secs());
        if !is_allowed || Duration::from_secs(deadline.as_secs()) != deadline {
            let wanted = "between 10s and 600s, in whole seconds";
            let found = format!("{deadline:?}");
            return Err(ConfigError::new("ack_deadline", wanted, found));
        }
        self.reads.ack_deadline = deadline;
        Ok(self)
    }

    /// How long the deadline of a message is renewed in all; the default is an hour. A
    /// handler that takes longer has its event delivered again meanwhile.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is less than a minute or more than a day.
    pub fn max_lease(mut self, lease: Duration) -> Result<Self, ConfigError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if !(Duration::from_secs(60)..=DAY).contains(&lease) {
            let found = format!("{lease:?}");
            return Err(ConfigError::new("max_lease", "between 60s and a day", found));
        }
        self.reads.max_lease = lease;
        Ok(self)
    }

    /// Ends it, and waits until what it had fetched has gone back, and what was acked is
    /// acked at the server too: some seconds at most.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// use integration_automation_patterns::broker::pubsub::{PubSub, PubSubConfig};
    ///
    /// let topic = "projects/shop/topics/orders";
    /// let config = PubSubConfig::default();
    /// let orders = PubSub::at_emulator("127.0.0.1:8085", topic, config)?;
    /// let listener = orders.listen("erp")?;
    /// listener.close().await; // it was never asked for a message, and has none
    /// # assert!(orders.listen("erp").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn close(mut self) {
        let Some(Pulling { hold, task }) = self.pulling.take() else { return };
        hold.close();
        let _ = task.await; // it has an end of its own
    }

    /// From the first call on, and anew where the task has ended.
    fn pulling(&mut self) -> &mut Pulling {
        let (server, reads) = (&self.server, self.reads);
        let subscription = &self.subscription;
        self.pulling.get_or_insert_with(|| {
            let hold = Hold::new(Arc::clone(subscription), reads.max_lease);
            let hold = Arc::new(hold);
            let task = pull(Arc::clone(&hold), Arc::clone(server), reads);
            Pulling { hold, task: tokio::spawn(task) }
        })
    }
}

impl Consumer for Listener {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        let subscription = Arc::clone(&self.subscription);
        let Pulling { hold, task } = self.pulling();
        let ended = loop {
            let Some(next) = hold.next() else {
                tokio::select! {
                    () = hold.arrived.notified() => continue,
                    ended = &mut *task => break ended,
                }
            };
            let next = next?;
            let acker = Acker::new(Arc::clone(hold), next.number, next.key);
            let delivery = Delivery::new(next.event, acker).redelivered(next.redelivered);
            return Ok(Some(delivery.from_broker(PubSub::SYSTEM, Some(subscription))));
        };
        // Its runtime has ended, or the client has panicked.
        hold.close();
        hold.give_back();
        self.pulling = None;
        let why = ended.err().map_or_else(|| "it was closed".to_owned(), |e| reason(&e));
        Err(BrokerError::unreachable(format!(
            "the subscription {subscription}: the task that pulls has ended: {why}"
        )))
    }

    fn ack_wait(&self) -> Option<Duration> {
        Some(self.reads.max_lease)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(pulling) = &self.pulling {
            pulling.hold.close();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("subscription", &self.subscription)
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}
