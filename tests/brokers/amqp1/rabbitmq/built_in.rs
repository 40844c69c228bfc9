//! RabbitMQ 4, which speaks AMQP 1.0 by itself: the suite.

use super::super::{Peer, Queue};
use super::declare;
use crate::servers;

pub(crate) struct BuiltIn;

impl Peer for BuiltIn {
    const PREFIX: &str = "/queues/";

    fn port() -> u16 {
        servers::rabbitmq4()
    }

    async fn make(address: &str) {
        declare::<Self>(address, &[]).await;
    }
}

type Server = Queue<BuiltIn>;

crate::suite_on!(Server, #[ignore = "needs RabbitMQ 4"]);
crate::suite_on!(unordered Server, #[ignore = "needs RabbitMQ 4"]);
crate::suite_on!(lossy Server, #[ignore = "needs RabbitMQ 4"]);
