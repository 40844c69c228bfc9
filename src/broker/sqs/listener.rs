//! Listening: the messages of a queue as deliveries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::hold::{Hold, LONGEST_HOLD};
use super::polling::{AFTER_A_FAILURE, poll};
use super::queue::Queue;
use super::{Acker, Sqs, verdict};
use crate::broker::{Broker, BrokerError, ConfigError, Consumer, Delivery, Lag};
use crate::reason::reason;

/// The receiving side: a consumer of one queue that deletes each message when it is acked.
///
/// A task of its own fetches up to ten ahead. While a message waits or is in hand, its
/// visibility is renewed, for twelve hours at the most. Of one group of a FIFO queue one
/// message at a time is handed out, so that a retry changes no order.
///
/// Dropped, it gives back what it had fetched. Its last request ends first, which takes
/// no longer than [`wait_time`](Self::wait_time): what the queue hands to it until then
/// goes back too. Where the process ends before that, such a message is seen again when
/// its visibility timeout is over.
pub struct Listener {
    queue: Arc<Queue>,
    visibility_timeout: Duration,
    wait_time: Duration,
    fetching: Option<Fetching>,
    /// When the next task may begin, where one has ended.
    not_before: Option<Instant>,
}

/// What it holds, and the task that fetches.
struct Fetching {
    hold: Arc<Hold>,
    poll: JoinHandle<()>,
}

impl Listener {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            visibility_timeout: Duration::from_secs(30),
            wait_time: Duration::from_secs(5),
            fetching: None,
            not_before: None,
        }
    }

    /// How long nobody else sees a message whose consumer has died; the default is 30 s,
    /// whatever the queue says. It is renewed at each third of its time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is less than 2 s or more than 12 hours.
    #[doc(alias = "ack_wait")]
    pub fn visibility_timeout(mut self, time: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(2)..=LONGEST_HOLD).contains(&time) {
            let wanted = "between 2s and 12 hours";
            let found = format!("{time:?}");
            return Err(ConfigError::new("visibility_timeout", wanted, found));
        }
        self.visibility_timeout = time;
        Ok(self)
    }

    /// How long a request waits for messages where there are none; the default is 5 s. A
    /// longer one costs fewer requests, and a listener that is dropped ends later.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], where it is less than a second or more than 20.
    #[doc(alias("long polling", "WaitTimeSeconds"))]
    pub fn wait_time(mut self, time: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_secs(1)..=Duration::from_secs(20)).contains(&time) {
            let found = format!("{time:?}");
            return Err(ConfigError::new("wait_time", "between 1s and 20s", found));
        }
        self.wait_time = time;
        Ok(self)
    }

    /// From the first call on, and anew where the task has ended: a moment later, so that
    /// a loop around `next` does not spin.
    fn fetching(&mut self) -> &mut Fetching {
        let (queue, visibility, wait) =
            (&self.queue, self.visibility_timeout, self.wait_time);
        let not_before = self.not_before;
        self.fetching.get_or_insert_with(|| {
            let hold = Hold::new(Arc::clone(queue), visibility);
            let fetched = poll(Arc::clone(&hold), wait);
            let poll = tokio::spawn(async move {
                if let Some(not_before) = not_before {
                    sleep_until(not_before).await;
                }
                fetched.await;
            });
            Fetching { hold, poll }
        })
    }
}

impl Consumer for Listener {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        let name: Arc<str> = self.queue.name.as_str().into();
        let Fetching { hold, poll } = self.fetching();
        let ended = loop {
            let Some(next) = hold.next() else {
                tokio::select! {
                    () = hold.arrived.notified() => continue,
                    ended = &mut *poll => break ended,
                }
            };
            let (group, fetched) = next?;
            let acker = Acker::new(Arc::clone(hold), fetched.number, group);
            let delivery =
                Delivery::new(fetched.event, acker).redelivered(fetched.redelivered);
            return Ok(Some(delivery.from_broker(Sqs::SYSTEM, Some(name))));
        };
        // Its runtime has ended, or the client has panicked.
        hold.close();
        self.fetching = None;
        self.not_before = Instant::now().checked_add(AFTER_A_FAILURE);
        let why = ended.err().map_or_else(|| "it was closed".to_owned(), |e| reason(&e));
        let why = format!("the queue {name}: the task that fetches has ended: {why}");
        Err(BrokerError::unreachable(why))
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        use QueueAttributeName as Attribute;
        let queue = &self.queue;
        let counts = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let request = queue.client.get_queue_attributes().queue_url(&queue.url);
        let answer = request.set_attribute_names(Some(counts.to_vec())).send().await;
        let answer = answer.map_err(|error| match &error {
            SdkError::TimeoutError(_) => BrokerError::unreachable(format!(
                "the queue {}: no answer in time",
                queue.name
            )),
            _ => verdict::of_request(queue, &error),
        })?;
        let count = |name| answer.attributes()?.get(name)?.parse::<u64>().ok();
        let behind = counts.iter().filter_map(count).fold(0, u64::saturating_add);
        Ok(vec![Lag::new(format!("queue {}", queue.name), behind)])
    }

    fn ack_wait(&self) -> Option<Duration> {
        Some(LONGEST_HOLD)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(fetching) = &self.fetching {
            fetching.hold.close();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("queue", &self.queue.url)
            .field("visibility_timeout", &self.visibility_timeout)
            .field("wait_time", &self.wait_time)
            .finish_non_exhaustive()
    }
}
