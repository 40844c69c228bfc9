//! `Acker`: acks or nacks a delivery of Pub/Sub, and nacks one that is dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_pubsub::error::AckError;
use google_cloud_pubsub::subscriber::handler::Handler;
use tokio::time::timeout;

use super::hold::Hold;
use super::order::Key;
use crate::broker::{Ack, BrokerError};
use crate::reason::reason;

/// How long a delivery waits that was dropped.
const DROPPED: Duration = Duration::from_secs(1);

/// How long an ack may take to be confirmed.
const TO_CONFIRM: Duration = Duration::from_secs(10);

/// Acks or nacks a delivery of Pub/Sub. Dropped, it nacks the delivery, to come again in
/// a second.
///
/// On a subscription with exactly-once delivery, an ack waits until it is confirmed. On
/// any other nothing confirms it: the client sends it within 100 ms, and an ack that is
/// lost makes the event come again, as a duplicate.
pub struct Acker {
    hold: Arc<Hold>,
    number: u64,
    key: Key,
    settled: bool,
}

impl Acker {
    pub(super) const fn new(hold: Arc<Hold>, number: u64, key: Key) -> Self {
        Self { hold, number, key, settled: false }
    }
}

impl Ack for Acker {
    /// An ack that comes too late is none that failed: the server delivers the message
    /// again, and the inbox knows it.
    async fn ack(mut self) -> Result<(), BrokerError> {
        self.settled = true;
        let handler = match self.hold.done(self.number, &self.key) {
            Some(Handler::ExactlyOnce(handler)) => handler,
            Some(handler) => {
                handler.ack();
                return Ok(());
            }
            None => return Ok(()),
        };
        let about = || format!("the subscription {}", self.hold.subscription);
        match timeout(TO_CONFIRM, handler.confirmed_ack()).await {
            Ok(Ok(()) | Err(AckError::LeaseExpired)) => Ok(()),
            Ok(Err(error)) => {
                let why = format!("{}: {}", about(), reason(&error));
                Err(BrokerError::transient(why))
            }
            Err(_) => {
                let why = format!("{}: no answer within {TO_CONFIRM:?}", about());
                Err(BrokerError::transient(why))
            }
        }
    }

    /// The listener holds the delivery, whose deadline the client renews, and hands it
    /// out again. It counts as unacked meanwhile.
    async fn nack(mut self, after: Duration) -> Result<(), BrokerError> {
        self.settled = true;
        self.hold.again(self.number, self.key.take(), after);
        Ok(())
    }
}

impl Drop for Acker {
    fn drop(&mut self) {
        if !self.settled {
            self.hold.again(self.number, self.key.take(), DROPPED);
        }
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}
