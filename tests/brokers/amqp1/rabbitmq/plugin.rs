//! RabbitMQ 3, which speaks AMQP 1.0 by a plugin: the suite.

use super::super::{Peer, Queue};
use super::declare;
use crate::servers;

pub(crate) struct Plugin;

impl Peer for Plugin {
    const PREFIX: &str = "/amq/queue/";

    fn port() -> u16 {
        servers::rabbitmq()
    }

    async fn make(address: &str) {
        declare::<Self>(address, &[]).await;
    }
}

type Server = Queue<Plugin>;

crate::suite_on!(Server, #[ignore = "needs RabbitMQ"]);
crate::suite_on!(lossy Server, #[ignore = "needs RabbitMQ"]);
