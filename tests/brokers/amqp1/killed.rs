//! Relay and receiver over AMQP 1.0, killed.

use integration_automation_patterns::broker::amqp1::{Amqp1, Listener};

use super::artemis::Artemis;
use super::{Queue, Server};
use crate::suite::Ends;

impl Ends for Queue<Artemis> {
    type Broker = Amqp1;
    type Consumer = Listener;
    const PAUSES: [u64; 2] = [20, 200];

    fn named(name: String) -> Self {
        Self::called(name)
    }

    async fn make() -> String {
        Self::fresh().await.name
    }

    fn broker(&self) -> Amqp1 {
        Server::broker(self, self.address())
    }

    /// One at a time, so that what comes again is before what follows it.
    async fn consumer(&mut self) -> Listener {
        Server::consumer(self).await.prefetch(1).unwrap()
    }
}

crate::killed_on!(Queue<Artemis>, #[ignore = "needs ActiveMQ Artemis"]);
