//! `Hooks`: the webhooks that have arrived, for a worker; and their `Acker`, whose word is
//! what the sender is answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::sending::Webhook;
use crate::Envelope;
use crate::broker::{Ack, Broker, BrokerError, Consumer, Delivery, Lag};
use crate::state::Pending;

/// An event that has arrived, and its sender, who waits.
pub(super) struct Arrived {
    pub(super) event: Envelope<Pending>,
    pub(super) path: Arc<str>,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Stored,
    Again(Duration),
}

/// The webhooks that have arrived at an [`Endpoint`](super::Endpoint), for a worker.
///
/// No service says whether it has sent an event before, so that each delivery counts as a
/// redelivery. They end when the last clone of the endpoint is gone.
pub struct Hooks {
    pub(super) arrived: mpsc::Receiver<Arrived>,
    pub(super) answer_timeout: Duration,
}

impl Consumer for Hooks {
    type Acker = Acker;

    async fn next(&mut self) -> Result<Option<Delivery<Acker>>, BrokerError> {
        // A sender that no longer waits sends again.
        let mut arrived = self.arrived.recv().await;
        while arrived.as_ref().is_some_and(|arrived| arrived.reply.is_closed()) {
            arrived = self.arrived.recv().await;
        }
        Ok(arrived.map(|Arrived { event, path, reply }| {
            Delivery::new(event, Acker(reply))
                .from_broker(Webhook::SYSTEM, Some(path))
                .redelivered(true)
        }))
    }

    /// What has arrived and was not taken.
    async fn lag(&mut self) -> Result<Vec<Lag>, BrokerError> {
        let waiting = u64::try_from(self.arrived.len()).unwrap_or(u64::MAX);
        Ok(vec![Lag::new(Webhook::SYSTEM, waiting)])
    }

    /// [`answer_timeout`](super::EndpointConfig::answer_timeout).
    fn ack_wait(&self) -> Option<Duration> {
        Some(self.answer_timeout)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("answer_timeout", &self.answer_timeout)
            .finish_non_exhaustive()
    }
}

/// Answers the sender of a webhook: 204 for an ack, 503 with `retry-after` for a nack.
/// Dropped, it nacks.
#[derive(Debug)]
pub struct Acker(oneshot::Sender<Reply>);

impl Acker {
    fn reply(self, reply: Reply) -> Result<(), BrokerError> {
        self.0.send(reply).map_err(|_| {
            BrokerError::transient(
                "the sender no longer waits for the answer, and sends the event again; \
                 let the handler take less time, or `answer_timeout` be longer",
            )
        })
    }
}

impl Ack for Acker {
    async fn ack(self) -> Result<(), BrokerError> {
        self.reply(Reply::Stored)
    }

    async fn nack(self, after: Duration) -> Result<(), BrokerError> {
        self.reply(Reply::Again(after))
    }
}
