//! `Acker`: acks or nacks a delivery of SQS, and nacks one that is dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::buffer::Group;
use super::hold::Hold;
use super::settling::Answer;
use crate::broker::{Ack, BrokerError};

/// How long a delivery waits that was dropped.
const DROPPED: Duration = Duration::from_secs(1);

/// Acks or nacks a delivery of SQS, and waits until the queue has answered. Dropped, it
/// nacks the delivery, to come again in a second.
pub struct Acker {
    hold: Arc<Hold>,
    number: u64,
    group: Option<Group>,
    settled: bool,
}

impl Acker {
    pub(super) const fn new(hold: Arc<Hold>, number: u64, group: Option<Group>) -> Self {
        Self { hold, number, group, settled: false }
    }
}

async fn answered(answer: Option<Answer>) -> Result<(), BrokerError> {
    let ended = || BrokerError::transient("the runtime of this listener has ended");
    let Some(answer) = answer else { return Err(ended()) };
    answer.await.unwrap_or_else(|_| Err(ended()))
}

impl Ack for Acker {
    /// An ack that comes too late is none that failed: the queue has given the message to
    /// another consumer, whose inbox knows it.
    async fn ack(mut self) -> Result<(), BrokerError> {
        self.settled = true;
        answered(self.hold.delete(self.number, self.group.as_ref())).await
    }

    /// The queue waits in whole seconds, and no longer than twelve hours after the
    /// message was received.
    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.settled = true;
        answered(self.hold.again(self.number, self.group.as_ref(), after)).await
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if !self.settled {
            drop(self.hold.again(self.number, self.group.as_ref(), DROPPED));
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}
