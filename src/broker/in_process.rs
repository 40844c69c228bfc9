//! A broker within the process, for tests and for programs that need no server: a send is
//! confirmed when the consumer has acked it, so that nothing is lost with the process.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{
    Ack, Broker, BrokerError, Capabilities, Consumer, Delivery, DeliveryOrder, Lag,
    RetryWait, as_sent,
};
use crate::state::{Dispatched, Pending};
use crate::{Envelope, Facts, RawEvent};

/// The two ends of a broker that holds no more than `capacity` events that nobody has
/// taken.
///
/// A send ends when the handler has, so that the consumer's time counts: let the number
/// in flight, times the time of one handler, be less than the relay's
/// [`send_timeout`](crate::relay::RelayConfig::send_timeout).
///
/// ```
/// use integration_automation_patterns::broker::{Broker, Consumer, in_process};
/// use integration_automation_patterns::{Envelope, RawEvent};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (broker, mut listener) = in_process(16);
/// let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
///     .build()?
///     .dispatch();
/// let (sent, received) = tokio::join!(broker.send(&event), async {
///     let delivery = listener.next().await.ok().flatten().ok_or("a delivery")?;
///     Ok::<_, &str>(delivery.facts().event_type().to_owned())
/// });
/// assert_eq!(received?, "crm.lead.created");
/// assert!(
///     sent.is_err(),
///     "the delivery was dropped, and so the send is not confirmed"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn in_process(capacity: usize) -> (InProcess, Listener) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (InProcess { sender }, Listener { receiver })
}

/// How soon a delivery comes again, at the soonest, that was dropped.
const AFTER_A_DROP: Duration = Duration::from_secs(1);

/// The answer to what was sent; an error where the delivery was dropped.
type Answered = oneshot::Receiver<Result<(), BrokerError>>;

struct Sent {
    event: Envelope<Pending>,
    /// Whether the sender has tried before: nobody knows what became of that.
    again: bool,
    answer: oneshot::Sender<Result<(), BrokerError>>,
}

/// The end that a relay sends to.
#[derive(Debug, Clone)]
pub struct InProcess {
    sender: mpsc::Sender<Sent>,
}

impl InProcess {
    /// Hands an event to the consumer: what the sender then waits for.
    pub(crate) async fn hand_over(
        &self,
        event: &Facts<RawEvent>,
        again: bool,
    ) -> Result<Answered, BrokerError> {
        let (answer, answered) = oneshot::channel();
        let sent = Sent { event: as_sent(event)?, again, answer };
        let gone = |_| BrokerError::unreachable("the consumer is gone");
        self.sender.send(sent).await.map_err(gone)?;
        Ok(answered)
    }
}

impl Broker for InProcess {
    const SYSTEM: &'static str = "in_process";

    async fn send(&self, event: &Envelope<Dispatched>) -> Result<(), BrokerError> {
        let answered = self.hand_over(event, event.attempts() > 1).await?;
        let unanswered = || {
            BrokerError::transient("the consumer dropped the delivery")
                .with_retry_after(AFTER_A_DROP)
        };
        answered.await.map_err(|_| unanswered())?
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            max_message_size: None,
            duplicate_window: Some(Duration::ZERO),
            order: Some(DeliveryOrder::Unordered),
            marks_redeliveries: Some(true),
            retry_waits_at: Some(RetryWait::Sender),
        }
    }
}

/// The end that a consumer listens to.
#[derive(Debug)]
pub struct Listener {
    receiver: mpsc::Receiver<Sent>,
}

impl Consumer for Listener {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        // A send whose time is over is sent again: nobody waits for this one's answer.
        let mut sent = self.receiver.recv().await;
        while sent.as_ref().is_some_and(|sent| sent.answer.is_closed()) {
            sent = self.receiver.recv().await;
        }
        Ok(sent.map(|Sent { event, again, answer }| {
            Delivery::new(event, Acker(answer))
                .from_broker(InProcess::SYSTEM, None)
                .redelivered(again)
        }))
    }

    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let waiting = u64::try_from(self.receiver.len()).unwrap_or(u64::MAX);
        Ok(vec![Lag::new(InProcess::SYSTEM, waiting)])
    }
}

/// Acks or nacks a delivery within the process.
#[derive(Debug)]
pub struct Acker(oneshot::Sender<Result<(), BrokerError>>);

impl Ack for Acker {
    async fn ack(self) -> Result<(), BrokerError> {
        // A sender that no longer waits sends again, and learns it then.
        let _ = self.0.send(Ok(()));
        Ok(())
    }

    async fn nack(self, after: Duration) -> Result<(), BrokerError> {
        let asked = BrokerError::transient(format!(
            "the consumer nacked the delivery, to come again after {after:?}"
        ));
        let _ = self.0.send(Err(asked.with_retry_after(after)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_sent_is_behind_until_it_is_taken()
    -> Result<(), Box<dyn std::error::Error>> {
        let (broker, mut listener) = in_process(16);
        let event = Envelope::builder("crm", RawEvent::new("crm.lead.created", b"{}"))
            .build()?
            .dispatch();
        let (_, behind) = tokio::join!(broker.send(&event), async {
            let sent = listener.lag().await?;
            let taken = listener.next().await?;
            let behind = (sent, listener.lag().await?);
            drop(taken);
            Ok::<_, BrokerError>(behind)
        });
        assert_eq!(
            behind?,
            (vec![Lag::new("in_process", 1)], vec![Lag::new("in_process", 0)])
        );
        Ok(())
    }
}
