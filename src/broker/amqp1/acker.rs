//! `Acker`: acks or nacks a delivery of AMQP 1.0.

use std::fmt;
use std::time::Duration;

use fe2o3_amqp::link::delivery::DeliveryInfo;
use tokio::sync::{mpsc, oneshot};

use crate::broker::{Ack, BrokerError};

/// The longest that a delivery is held back.
const LONGEST_HOLD: Duration = Duration::from_secs(10 * 60);

/// How long a delivery that was dropped is held back, so that a consumer whose handlers
/// fail at once does not spin.
const DROPPED_HOLD: Duration = Duration::from_secs(1);

/// Acks or nacks a delivery of AMQP 1.0.
///
/// The protocol confirms no ack: one that is lost with its connection makes the event
/// come again, as a duplicate. Dropped, it nacks the delivery after a second.
pub struct Acker {
    delivery: Option<DeliveryInfo>,
    answers: mpsc::UnboundedSender<Answered>,
}

/// What a delivery was answered, on its way to the task that owns the link.
pub(super) struct Answered {
    pub(super) delivery: DeliveryInfo,
    pub(super) answer: Answer,
    /// Where it is said that the answer was sent.
    pub(super) sent: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ack,
    Nack { after: Duration },
}

const TOO_LATE: &str =
    "the link of this delivery has ended, and the server delivers it again";

impl Acker {
    pub(super) const fn new(
        delivery: DeliveryInfo,
        answers: mpsc::UnboundedSender<Answered>,
    ) -> Self {
        Self { delivery: Some(delivery), answers }
    }

    fn answer(
        &mut self,
        answer: Answer,
        sent: Option<oneshot::Sender<()>>,
    ) -> Result<(), BrokerError> {
        let Some(delivery) = self.delivery.take() else { return Ok(()) };
        let answered = self.answers.send(Answered { delivery, answer, sent });
        answered.map_err(|_| BrokerError::transient(TOO_LATE))
    }

    async fn answer_now(&mut self, answer: Answer) -> Result<(), BrokerError> {
        let (sent, done) = oneshot::channel();
        self.answer(answer, Some(sent))?;
        done.await.map_err(|_| BrokerError::transient(TOO_LATE))
    }
}

impl Ack for Acker {
    async fn ack(mut self) -> Result<(), BrokerError> {
        self.answer_now(Answer::Ack).await
    }

    /// Holds the delivery back for as long, 10 minutes at the most, and gives it back
    /// then: the protocol itself cannot wait. It counts as unacked meanwhile, and goes
    /// back at once where the listener or the process ends.
    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        let after = after.min(LONGEST_HOLD);
        if after.is_zero() {
            return self.answer_now(Answer::Nack { after }).await;
        }
        self.answer(Answer::Nack { after }, None)
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        // Where the link has ended, the server has it back already.
        let _ = self.answer(Answer::Nack { after: DROPPED_HOLD }, None);
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}
