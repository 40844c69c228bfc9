//! Relay and receiver over a FIFO queue of SQS, killed.

use std::time::Duration;

use integration_automation_patterns::broker::sqs::{Listener, Sqs};

use super::{Queue, local, servers};
use crate::suite::Ends;

impl Ends for Queue {
    type Broker = Sqs;
    type Consumer = Listener;
    const PAUSES: [u64; 2] = [20, 200];

    fn named(name: String) -> Self {
        Self::called(name)
    }

    async fn make() -> String {
        Self::create(".fifo").await.name
    }

    fn broker(&self) -> Sqs {
        Self::broker(self, local(servers::sqs()))
    }

    /// What one held that was killed is soon seen again.
    async fn consumer(&mut self) -> Listener {
        let listener = self.listener(local(servers::sqs()));
        let listener = listener.visibility_timeout(Duration::from_secs(2)).unwrap();
        listener.wait_time(Duration::from_secs(1)).unwrap()
    }

    async fn remove(self) {
        self.delete().await;
    }
}

crate::killed_on!(Queue, #[ignore = "needs SQS"]);
