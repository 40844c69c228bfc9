//! `Acker`: acks or nacks a delivery of RabbitMQ.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::listener::Subscription;
use super::refusal::Unanswered;
use crate::broker::{Ack, BrokerError};

/// The longest that a delivery is held back: the server ends a channel with one that is
/// unacked for 30 minutes.
const LONGEST_HOLD: Duration = Duration::from_secs(10 * 60);

/// How long a delivery that was dropped is held back, so that a consumer whose
/// handlers fail at once does not spin.
const DROPPED_HOLD: Duration = Duration::from_secs(1);

/// Acks or nacks a delivery of RabbitMQ.
///
/// The protocol confirms no ack: one that is lost with its connection makes the event
/// come again, as a duplicate. Dropped, it requeues the delivery after a second.
pub struct Acker {
    acker: lapin::Acker,
    subscription: Arc<Subscription>,
    runtime: Handle,
    settled: bool,
}

const TOO_LATE: &str =
    "the channel of this delivery has ended, and the server delivers it again";

impl Acker {
    pub(super) fn new(acker: lapin::Acker, subscription: Arc<Subscription>) -> Self {
        Self { acker, subscription, runtime: Handle::current(), settled: false }
    }

    /// Requeues the delivery after a while. Where the connection ends before, the server
    /// has it back already.
    fn release(&self, after: Duration) {
        let (acker, subscription) =
            (self.acker.clone(), Arc::downgrade(&self.subscription));
        self.runtime.spawn(async move {
            sleep(after).await;
            if let Some(subscription) = Weak::upgrade(&subscription) {
                let _ = subscription.line().answer(acker.nack(again())).await;
            }
        });
    }

    async fn settle(
        &self,
        settled: impl Future<Output = lapin::Result<bool>>,
    ) -> Result<(), BrokerError> {
        match self.subscription.line().answer(settled).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(BrokerError::transient(TOO_LATE)),
            Err(Unanswered::Late(within)) => Err(BrokerError::transient(format!(
                "the ack or nack was not sent within {within:?}; where it is lost, the \
                 server delivers the event again"
            ))),
            Err(error) => Err(BrokerError::transient(format!("{TOO_LATE}: {error}"))),
        }
    }
}

pub(super) fn again() -> BasicNackOptions {
    BasicNackOptions { requeue: true, ..BasicNackOptions::default() }
}

impl Ack for Acker {
    async fn ack(mut self) -> Result<(), BrokerError> {
        self.settled = true;
        self.settle(self.acker.ack(BasicAckOptions::default())).await
    }

    /// Holds the delivery back for as long, 10 minutes at the most, and requeues it then:
    /// RabbitMQ itself cannot wait. It counts as unacked meanwhile, and comes again at
    /// once where the listener or the process ends.
    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.settled = true;
        if !self.subscription.line().is_alive() {
            return Err(BrokerError::transient(TOO_LATE));
        }
        if after.is_zero() {
            return self.settle(self.acker.nack(again())).await;
        }
        self.release(after.min(LONGEST_HOLD));
        Ok(())
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if !self.settled {
            self.release(DROPPED_HOLD);
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}
